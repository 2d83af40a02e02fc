"""One function per verb. A job composes the floors below it and writes a run."""

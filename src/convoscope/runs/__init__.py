"""One folder per run: what was asked, what happened, and what came out.

:class:`~convoscope.runs.store.Run` is the folder, :class:`~convoscope.runs.record.RunRecord` its
``run.json``.
"""

from convoscope.runs.record import RunRecord
from convoscope.runs.store import Run, check_removable, find_runs, open_run, remove_run

__all__ = ["Run", "RunRecord", "check_removable", "find_runs", "open_run", "remove_run"]

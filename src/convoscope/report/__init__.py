"""A run, read back as one self-contained page."""

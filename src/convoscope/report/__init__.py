"""A run, read back as one self-contained page."""

from convoscope.report.page import write

__all__ = ["write"]

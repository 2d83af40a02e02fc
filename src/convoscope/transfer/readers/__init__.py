"""Other people's weight files, read into arrays: safe to open, checked, and nothing executed."""

from convoscope.transfer.readers.foreign_weights import ForeignWeights, Format
from convoscope.transfer.readers.reading import read

__all__ = ["ForeignWeights", "Format", "read"]

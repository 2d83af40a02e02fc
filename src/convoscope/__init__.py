"""convoscope: from a folder of images to a trained, tested, explained classifier."""

__version__ = "0.1.0"

"""Sums and shifts per channel of (N, H, W, C) maps or (N, K) vectors, in long runs of memory.

The last axis is short (a few dozen channels), and NumPy is slow on short rows. Whole map rows of
W C values are added instead, and the W partial sums after that.
"""

from __future__ import annotations

import numpy as np

from convoscope.arrays import Array


def sum_per_channel(values: Array) -> Array:
    """The sum over all axes but the last, (C,)."""
    channels = values.shape[-1]
    rows = values.reshape(-1, _row(values)).sum(axis=0)
    return np.asarray(rows.reshape(-1, channels).sum(axis=0))


def add_per_channel(values: Array, shift: Array) -> None:
    """Add ``shift`` (C,) to a contiguous array, in place."""
    rows = values.reshape(-1, _row(values))
    rows += np.tile(shift, rows.shape[1] // len(shift))


def multiply_per_channel(values: Array, scale: Array, out: Array | None = None) -> Array:
    """``values * scale`` with ``scale`` (C,), into a contiguous ``out`` if one is given."""
    row = _row(values)
    result = np.empty(values.shape, dtype=values.dtype) if out is None else out
    tiled = np.tile(scale, row // len(scale))
    np.multiply(values.reshape(-1, row), tiled, out=result.reshape(-1, row))
    return result


def _row(values: Array) -> int:
    """How many values are taken as one row: a map's row, or a vector."""
    width = int(values.shape[-2]) if values.ndim == 4 else 1
    return int(values.shape[-1]) * width

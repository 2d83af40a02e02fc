"""Sums, shifts and scales per channel of (N, H, W, C) maps or (N, K) vectors, in long runs of
memory.

The last axis is short (a few dozen channels), and NumPy is slow on short rows. So whole map rows
of W C values are taken as rows, and the channels' values repeated along them.
"""

from __future__ import annotations

import numpy as np

from convoscope.arrays import Array
from convoscope.engines.numpy.blocks import each, spans

_SPAN = 1 << 17


def sum_per_channel(values: Array, factors: Array | None = None) -> Array:
    """The sum over all axes but the last of ``values``, or of ``values * factors``, (C,)."""
    rows = _rows(values)
    others = None if factors is None else _rows(factors)

    def one(span: slice) -> Array:
        part = rows[span] if others is None else rows[span] * others[span]
        return np.asarray(part.sum(axis=0))

    sums = np.array(each(one, _spans(rows)))
    return np.asarray(sums.reshape(-1, values.shape[-1]).sum(axis=0))


def add_per_channel(values: Array, shift: Array) -> None:
    """Add ``shift`` (C,) to a contiguous array, in place."""
    rows = _rows(values)
    tiled = np.tile(shift, rows.shape[1] // len(shift))

    def one(span: slice) -> None:
        rows[span] += tiled

    each(one, _spans(rows))


def scale_per_channel(values: Array, scale: Array, shift: Array) -> Array:
    """``values * scale + shift`` with ``scale`` and ``shift`` (C,), a new array."""
    rows = _rows(values)
    result = np.empty(values.shape, dtype=values.dtype)
    out = _rows(result)
    scales, shifts = (np.tile(v, rows.shape[1] // len(v)) for v in (scale, shift))

    def one(span: slice) -> None:
        np.multiply(rows[span], scales, out=out[span])
        out[span] += shifts

    each(one, _spans(rows))
    return result


def _rows(values: Array) -> Array:
    """The values as a matrix whose rows are the rows of maps, or vectors."""
    width = int(values.shape[-2]) if values.ndim == 4 else 1
    return values.reshape(-1, int(values.shape[-1]) * width)


def _spans(rows: Array) -> list[slice]:
    """A few rows at a time, as many as stay in cache."""
    return spans(len(rows), max(1, _SPAN // rows.shape[1]))

"""Pictures seen shifted and enlarged a little, each its own way, and gradients brought back.

What excites a filter only if it stands on an exact pixel, or has an exact size, is noise to
people. A picture that has to excite it however it is shifted and enlarged becomes a shape.

Source: Olah, Mordvintsev and Schubert 2017, https://doi.org/10.23915/distill.00007, section
"Transformation robustness"; the idea of jitter is Mordvintsev et al. 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convoscope.arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """How each of T pictures is seen: row i of what is seen of picture t is the mixture
    ``rows[t, i]`` (H,) of its rows, and likewise columns: (T, H, H) and (T, W, W).
    """

    rows: FloatArray
    columns: FloatArray

    def see(self, pictures: FloatArray) -> FloatArray:
        """The pictures (T, C, H, W) as they are seen."""
        return self.rows[:, None] @ pictures @ self.columns[:, None].swapaxes(2, 3)

    def back(self, gradient: FloatArray) -> FloatArray:
        """From a gradient with respect to what is seen to that with respect to the pictures."""
        return self.rows[:, None].swapaxes(2, 3) @ gradient @ self.columns[:, None]


def sampling(
    height: int, width: int, rngs: Sequence[np.random.Generator], *, jitter: int, zoom: float
) -> Sampling:
    """A view for each generator: shifted by up to ``jitter`` pixels either way, and enlarged by a
    factor between ``1 / (1 + zoom)`` and ``1 + zoom``, with linear interpolation.

    A picture goes on beyond its border with its opposite side.
    """
    rows, columns = [], []
    for rng in rngs:
        factor = (1 + zoom) ** rng.uniform(-1, 1)
        down, across = rng.integers(-jitter, jitter + 1, size=2)
        rows.append(_axis(height, float(down), factor))
        columns.append(_axis(width, float(across), factor))
    return Sampling(np.stack(rows), np.stack(columns))


def _axis(count: int, shift: float, factor: float) -> FloatArray:
    """The mixture (count, count) of pixels that each pixel along an axis is seen as."""
    middle = (count - 1) / 2
    places = middle + (np.arange(count) - middle) / factor + shift
    before = np.floor(places).astype(np.int64)
    share = places - before
    mixture = np.zeros((count, count), dtype=np.float32)
    seen = np.arange(count)
    # Added up, for in a picture one pixel wide both neighbours are the same.
    np.add.at(mixture, (seen, before % count), 1 - share)
    np.add.at(mixture, (seen, (before + 1) % count), share)
    return mixture

"""The patch atlas: which parts of which images excite each channel of a layer most.

One pass over the images keeps, per image and channel, three numbers: the highest value of the map,
its mean and the place of the highest. All else - the strongest patches of a channel, whether it
is dead, which class it speaks for - is read from these :class:`Answers`, however many images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.errors import ExplainError
from convoscope.metrics.intervals import LEVEL

KEPT: Final = 3
"""Numbers kept per image and channel: highest, mean, place."""

_EXACT_PLACES = 2**24
_CHANNELS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What C channels answered to N images: ``kept`` (N, 3, C) float32, which may be a memory map,
    from maps of ``size`` (h, w).
    """

    kept: FloatArray
    size: tuple[int, int]

    @property
    def images(self) -> int:
        """N."""
        return len(self.kept)

    @property
    def channels(self) -> int:
        """C."""
        return int(self.kept.shape[2])

    @property
    def peaks(self) -> FloatArray:
        """The highest value of each map, (N, C)."""
        return self.kept[:, 0]

    @property
    def means(self) -> FloatArray:
        """The mean of each map, (N, C)."""
        return self.kept[:, 1]

    def place(self, image: int, channel: int) -> tuple[int, int]:
        """(row, column) of the highest value; of equal ones the first."""
        row, column = divmod(int(self.kept[image, 2, channel]), self.size[1])
        return row, column

    def take(self, rows: IntArray) -> Answers:
        """Those of some images, in memory."""
        return Answers(np.asarray(self.kept[rows]), self.size)


def answers(outputs: FloatArray) -> FloatArray:
    """What is kept of a layer's outputs (N, C, h, w) or (N, K): (N, 3, C) float32.

    Raises:
        ExplainError: if a value is not a finite number, or a map has more cells than float32
            counts.
    """
    flat = outputs.reshape(*outputs.shape[:2], -1)
    if not np.isfinite(flat).all():
        raise ExplainError(
            "an atlas needs finite activations, this layer gives NaN or infinity: look at the "
            "network's weights, or compute in float32"
        )
    if flat.shape[2] > _EXACT_PLACES:
        raise ExplainError(
            f"an atlas knows the place of at most {_EXACT_PLACES:,} cells, got maps of "
            f"{flat.shape[2]:,}: choose a layer with smaller maps"
        )
    place = flat.argmax(axis=2)
    peak = np.take_along_axis(flat, place[..., None], axis=2)[..., 0]
    return np.stack([peak, flat.mean(axis=2), place], axis=1).astype(np.float32)


def strongest_images(found: Answers, k: int) -> IntArray:
    """The ``k`` images that excite each channel most, (C, k), the strongest first; -1 where there
    are fewer images. Each image counts once, by its highest cell; of equal ones the first counts.

    Raises:
        ExplainError: if ``k`` is below 1.
    """
    if k < 1:
        raise ExplainError(f"an atlas shows at least 1 patch of each channel, got {k}: 9 is usual")
    there = min(k, found.images)
    rows = np.full((found.channels, k), -1, dtype=np.int64)
    for first in range(0, found.channels, _CHANNELS_AT_ONCE):
        part = slice(first, first + _CHANNELS_AT_ONCE)
        order = np.argsort(-found.peaks[:, part], axis=0, kind="stable")
        rows[part, :there] = order[:there].T
    return rows


def excited(found: Answers, best: IntArray) -> IntArray:
    """``best`` (C, k) without the images that do not excite the channel: those that it answers
    with 0 or less, though others with more, and all of a dead one. They become -1.
    """
    channels = np.arange(len(best))[:, None]
    values = np.where(best >= 0, found.peaks[np.maximum(best, 0), channels], -np.inf)
    is_below_all = (values <= 0).all(axis=1) & ~dead(found)
    return np.where((values > 0) | (is_below_all[:, None] & np.isfinite(values)), best, -1)


def answered(found: Answers) -> IntArray:
    """To how many images each channel answered anywhere with more than 0, (C,)."""
    counts: IntArray = np.count_nonzero(found.peaks > 0, axis=0).astype(np.int64)
    return counts


def dead(found: Answers) -> Array:
    """Which channels (C,) answered no image with more than 0, or, where values lie below 0 too,
    gave one and the same value for every cell of every image.
    """
    never: Array = answered(found) == 0
    is_signed = bool((found.means < 0).any())
    if not is_signed:
        return never
    peaks, means = found.peaks, found.means
    is_flat = (np.ptp(peaks, axis=0) == 0) & np.isclose(peaks, means, rtol=1e-5, atol=0).all(axis=0)
    flat: Array = never & is_flat
    return flat


def most_often(images: int, level: float = LEVEL) -> float:
    """The largest share of such images that a channel may answer that answered none of so many.

    ``1 - (1 - level)^(1 / n)``, about 3 / n at 95 %: the rule of three.

    Source: Hanley and Lippman-Hand 1983, https://doi.org/10.1001/jama.1983.03330370053031.
    """
    return 1.0 if images == 0 else float(1 - (1 - level) ** (1 / images))

"""How sure a figure is: Wilson's interval for proportions, the bootstrap for all else.

Both say: the same experiment on other images of the same kind would give a figure in here, at the
stated level. Neither knows of the luck of training: that is what several seeds are for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.errors import SettingsError

LEVEL = 0.95
RESAMPLES = 2000
_CELLS_AT_ONCE = 4_000_000


class Interval(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval; ``None`` where it is undefined, never 0 / 0."""

    value: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """``{"value": ..., "low": ..., "high": ...}``."""
        return {"value": self.value, "low": self.low, "high": self.high}


UNDEFINED = Figure(None, None, None)


def wilson(successes: float, n: float, level: float = LEVEL) -> Interval:
    """The interval of a proportion, within [0, 1]; (0, 1) where nothing was tried.

    Neither number need be whole: images that belong together are worth fewer than they are.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953, without continuity
    correction.

    Raises:
        SettingsError: if it is no proportion, or the level does not lie between 0 and 1.
    """
    if not 0 <= successes <= n:
        raise SettingsError(
            f"a proportion must have 0 <= successes <= n, got {successes} of {n}: "
            "count the successes among the n"
        )
    if n == 0:
        return Interval(0.0, 1.0)
    squared = _quantile(level) ** 2
    share = successes / n
    middle = share + squared / (2 * n)
    reach = float(np.sqrt(squared * (share * (1 - share) / n + squared / (4 * n * n))))
    low, high = ((middle + side * reach) / (1 + squared / n) for side in (-1, 1))
    # At the ends the formula gives exactly 0 and 1; rounding must not say otherwise.
    return Interval(low if successes else 0.0, high if successes < n else 1.0)


def proportion(successes: int, n: int, level: float = LEVEL) -> Figure:
    """``successes / n`` with Wilson's interval; undefined where ``n`` is 0."""
    return Figure(successes / n, *wilson(successes, n, level)) if n else UNDEFINED


def bootstrap(
    values: FloatArray,
    statistic: Callable[[FloatArray], FloatArray] = lambda sums: sums,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Interval | None]:
    """Percentile intervals of anything computed from means over images.

    ``values`` (N, M): M numbers per image. Each resample draws N images with replacement and adds
    their numbers up; ``statistic`` turns the sums (R, M) of R resamples into T figures (R, T), NaN
    where a resample leaves one undefined. The result has one interval per figure, ``None`` where
    no resample defines it.

    Source: Efron 1979, https://doi.org/10.1214/aos/1176344552; percentile method.
    """
    n = len(values)
    if n == 0:
        shape = statistic(np.zeros((1, values.shape[1]))).shape
        return [None] * shape[1]
    rng = generator(seed, "bootstrap")
    drawn = []
    for rows in _portions(resamples, n):
        # How often each image is drawn, then ONE matrix product for all sums of these resamples.
        image = rng.integers(0, n, size=(rows, n), dtype=np.int64)
        image += np.arange(rows)[:, None] * n
        counts = np.bincount(image.ravel(), minlength=rows * n).reshape(rows, n)
        drawn.append(statistic(counts.astype(np.float64) @ values))
    return percentiles(np.concatenate(drawn), level)


def bootstrap_counts(
    cells: IntArray,
    statistic: Callable[[IntArray], FloatArray],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Interval | None]:
    """Percentile intervals of anything computed from a table of counts, such as a confusion matrix.

    Drawing n images with replacement and counting them again into ``cells`` (M,) is one draw from
    the multinomial distribution over the cells, so the cost depends on the cells and not on the
    images. ``statistic`` and the result are as in :func:`bootstrap`, with counts (R, M).
    """
    n = int(cells.sum())
    if n == 0:
        return [None] * statistic(np.zeros((1, len(cells)), dtype=np.int64)).shape[1]
    rng = generator(seed, "bootstrap counts")
    drawn = [
        statistic(rng.multinomial(n, cells / n, size=rows))
        for rows in _portions(resamples, len(cells))
    ]
    return percentiles(np.concatenate(drawn), level)


def percentiles(figures: FloatArray, level: float = LEVEL) -> list[Interval | None]:
    """The middle ``level`` of each column of (R, T), leaving NaN out."""
    tail = (1 - _checked(level)) / 2
    intervals: list[Interval | None] = []
    for column in figures.T:
        defined = column[~np.isnan(column)]
        if len(defined):
            low, high = np.quantile(defined, [tail, 1 - tail])
            intervals.append(Interval(float(low), float(high)))
        else:
            intervals.append(None)
    return intervals


def ratio(above: Array, below: Array) -> FloatArray:
    """``above / below``, NaN where ``below`` is 0, without a warning."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), below)
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below != 0)
    return quotient


def _portions(resamples: int, cells: int) -> list[int]:
    """Resamples to draw at once, so that scratch memory does not grow with the data."""
    size = max(1, _CELLS_AT_ONCE // max(cells, 1))
    return [min(size, resamples - start) for start in range(0, resamples, size)]


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + _checked(level) / 2)


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise SettingsError(f"level must lie between 0 and 1, got {level}: 0.95 is usual")
    return level

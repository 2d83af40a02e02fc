"""Intervals where images are not independent: copies of one picture, pictures of one patient.

Ten copies of a picture say no more than one of them. Images that belong together form a *cluster*,
and what an interval counts is how many independent images all of them are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.metrics.intervals import (
    LEVEL,
    RESAMPLES,
    UNDEFINED,
    Figure,
    Interval,
    percentiles,
    proportion,
    wilson,
)


def number_clusters(names: Sequence[str]) -> IntArray:
    """(N,) the number of each image's cluster, from 0."""
    _, numbers = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    return np.asarray(numbers, dtype=np.int64).ravel()


def share(right: Array, clusters: IntArray | None, level: float = LEVEL) -> Figure:
    """The share of (n,) bools that are true, with Wilson's interval for as many images as they are
    worth; for n where ``clusters`` (n,) is ``None``. Undefined where there are none.
    """
    n, successes = len(right), int(right.sum())
    if clusters is None or not n:
        return proportion(successes, n, level)
    worth = effective_size(right, clusters)
    if not worth:
        return UNDEFINED
    return Figure(successes / n, *wilson(successes / n * worth, worth, level))


def effective_size(right: Array, clusters: IntArray) -> float:
    """How many independent images (n,) bools in ``clusters`` (n,) are worth, at most n.

    n divided by the design effect: the variance of a share among clusters, over the variance it
    would have among as many independent images. Where all are right, or none, no variance can be
    seen, and every cluster counts as if its images were one answer.

    Source: Rao and Scott 1992, https://doi.org/10.2307/2532311, eq. 2; for the second, Kish 1965,
    *Survey Sampling*, section 8.2, with full correlation within clusters.
    """
    n = len(right)
    sizes, successes = np.bincount(clusters), np.bincount(clusters, weights=right)
    count = int((sizes > 0).sum())
    p = successes.sum() / n
    if count < 2 or p in (0.0, 1.0):
        return float(n**2 / (sizes.astype(np.float64) ** 2).sum())
    variance = count / (count - 1) * ((successes - p * sizes) ** 2).sum() / n**2
    return float(min(n, p * (1 - p) / variance)) if variance else float(n)


def cluster_sums(values: FloatArray, clusters: IntArray) -> FloatArray:
    """Numbers per image (N, M) added up to numbers per cluster (G, M): what a bootstrap draws."""
    columns = [np.bincount(clusters, weights=column) for column in values.T]
    return np.stack(columns, axis=1)


def bootstrap_cells(
    cells: IntArray,
    clusters: IntArray,
    statistic: Callable[[IntArray], FloatArray],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Interval | None]:
    """Percentile intervals of anything computed from a table of counts, resampling whole clusters.

    ``cells`` (N,) is the cell of each image, numbered from 0 without gaps; ``statistic`` and the
    result are as in :func:`~convoscope.metrics.intervals.bootstrap_counts`.

    Source: Davison and Hinkley 1997, *Bootstrap Methods and their Application*, section 3.8,
    strategy 1.
    """
    if not len(cells):
        return [None] * statistic(np.zeros((1, 0), dtype=np.int64)).shape[1]
    count, width = int(clusters.max()) + 1, int(cells.max()) + 1
    # Copies of a picture are all in one cell, so there are far fewer pairs than images.
    pairs, images = np.unique(clusters * width + cells, return_counts=True)
    owner, cell = np.divmod(pairs, width)
    present = np.unique(owner)
    rng = generator(seed, "bootstrap cells")
    drawn = np.empty((resamples, width), dtype=np.int64)
    for row in range(resamples):
        chosen = present[rng.integers(0, len(present), size=len(present))]
        times = np.bincount(chosen, minlength=count)
        drawn[row] = np.bincount(cell, weights=times[owner] * images, minlength=width)
    return percentiles(statistic(drawn), level)

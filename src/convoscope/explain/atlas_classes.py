"""Which channels speak for which class: how surely a channel answers a class's images more strongly
than the others', with an interval that holds for all channels and classes at once.

The measure is the area under the ROC curve (AUC): the probability that an image of the class gets
a higher answer than one of any other class, equal ones counted half. 0.5 says nothing, 1 is a
perfect detector, 0 one that is silent for this class alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, TypeAlias

import numpy as np
from scipy.stats import rankdata

from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.errors import ShapeError
from convoscope.metrics.intervals import LEVEL

_Inside: TypeAlias = Callable[[FloatArray], Array]

_CHANNELS_AT_ONCE: Final = 64
_HALVINGS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speaks:
    """For C channels and K classes: ``auc`` (C, K) and both ends of its interval, NaN for a class
    without images, or with all of them.

    All C x K intervals hold together at ``level`` (Bonferroni 1936), so that naming every
    interval that lies above 0.5 names a single wrong one with at most probability 1 - level.
    """

    auc: FloatArray
    low: FloatArray
    high: FloatArray
    counts: IntArray
    level: float

    @property
    def comparisons(self) -> int:
        """For how many channels and classes there is an AUC."""
        return int(np.count_nonzero(~np.isnan(self.auc)))

    @property
    def best(self) -> IntArray:
        """The class (C,) with the highest AUC; -1 where none has one."""
        known = ~np.isnan(self.auc)
        if not known.any():
            return np.full(len(self.auc), -1, dtype=np.int64)
        found = np.where(known, self.auc, -1).argmax(axis=1)
        return np.where(known.any(axis=1), found, -1)

    def for_class(self) -> IntArray:
        """The class (C,) that each channel speaks for: its best one, where the interval lies above
        0.5; else -1.
        """
        best = self.best
        if (best < 0).all():
            return best
        low = np.take_along_axis(self.low, np.maximum(best, 0)[:, None], axis=1)[:, 0]
        return np.where((best >= 0) & (low > 0.5), best, -1)


def speaks(responses: FloatArray, labels: IntArray, classes: int, level: float = LEVEL) -> Speaks:
    """How well each channel's response (N, C) tells each class from all others.

    ``labels`` (N,) are class indices, -1 where not known; those images are left out. Images count
    as independent.

    Raises:
        ShapeError: if there is not one label per image, or one is no class.
    """
    if labels.shape != (len(responses),) or labels.max(initial=-1) >= classes:
        raise ShapeError(
            f"labels must be one class index below {classes} per image, got {labels.shape} labels "
            f"up to {labels.max(initial=-1)} for {len(responses)} images: give the data's own"
        )
    known = labels >= 0
    is_of = labels[known][:, None] == np.arange(classes)  # (N, K)
    counts = is_of.sum(axis=0)
    parts = [
        areas(np.asarray(responses[known, first : first + _CHANNELS_AT_ONCE]), is_of)
        for first in range(0, responses.shape[1], _CHANNELS_AT_ONCE)
    ]
    auc = np.concatenate(parts) if parts else np.zeros((0, classes))
    comparisons = max(1, int(np.count_nonzero(~np.isnan(auc))))
    low, high = area_interval(
        auc, counts, np.maximum(known.sum() - counts, 0), 1 - (1 - level) / comparisons
    )
    return Speaks(auc=auc, low=low, high=high, counts=counts.astype(np.int64), level=level)


def areas(responses: FloatArray, is_of: Array) -> FloatArray:
    """The AUC (C, K) of responses (N, C) for classes ``is_of`` (N, K), equal ones counted half.

    From ranks: Mann and Whitney 1947, https://doi.org/10.1214/aoms/1177730491.
    """
    if not len(responses):
        return np.full((responses.shape[1], is_of.shape[1]), np.nan)
    ranks = rankdata(responses, axis=0)
    own = is_of.sum(axis=0).astype(np.float64)
    others = len(is_of) - own
    wins = ranks.T @ is_of - own * (own + 1) / 2
    area = np.full(wins.shape, np.nan)
    np.divide(wins, own * others, out=area, where=own * others > 0)
    return area


def area_interval(
    auc: FloatArray, own: IntArray, others: IntArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Both ends of the interval of AUCs (..., K) from ``own`` (K,) images of each class and
    ``others`` (K,) of all others; NaN where the AUC is.

    A score interval: it holds every area that lies no further from the observed one than the
    quantile times the standard error *of that area*. So it is wide where the area is 1, and never
    leaves [0, 1].

    Source: Newcombe 2006, https://doi.org/10.1002/sim.2324, method 5, on the variance of Hanley
    and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747.
    """
    quantile = NormalDist().inv_cdf((1 + level) / 2)
    product = np.maximum(own * others, 1).astype(np.float64)
    mean = (own + others) / 2

    def is_inside(area: FloatArray) -> Array:
        more = (mean - 1) * ((1 - area) / (2 - area) + area / (1 + area))
        variance = area * (1 - area) * (1 + more) / product
        inside: Array = np.abs(area - auc) <= quantile * np.sqrt(variance)
        return inside

    with np.errstate(invalid="ignore"):
        return _edge(auc, np.zeros_like(auc), is_inside), _edge(auc, np.ones_like(auc), is_inside)


def _edge(inner: FloatArray, outer: FloatArray, is_inside: _Inside) -> FloatArray:
    """Where between ``inner``, which is inside, and ``outer`` the inside ends, by halving."""
    inner = inner.astype(np.float64).copy()
    outer = np.where(np.isnan(inner), np.nan, outer)
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        inside = is_inside(middle)
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return inner

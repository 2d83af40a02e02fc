"""How far the same figure of several trainings lies apart, and what other images would change.

Two questions that must not be confused. The *spread over trainings* asks what another seed would
have given on these very images. The *interval over images* asks what these very networks would
give on other images of the same kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from convoscope.arrays import Array, FloatArray
from convoscope.errors import SettingsError
from convoscope.metrics.intervals import (
    LEVEL,
    UNDEFINED,
    Figure,
    Interval,
    bootstrap,
    ratio,
    wilson,
)

ANYWHERE = Interval(-math.inf, math.inf)
SHARE = Interval(0.0, 1.0)
POSITIVE = Interval(0.0, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The figures of ``n`` trainings: ``sd`` with n - 1 below, smallest and largest of them.

    ``interval`` is Student's for the mean over ever more trainings, were they independent; ``None``
    where all figures are equal, which tells nothing of how far others may lie.
    """

    n: int
    mean: float
    sd: float
    smallest: float
    largest: float
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Its fields; the interval as ``{"low", "high"}`` or ``null``."""
        return asdict(self) | {"interval": self.interval and self.interval._asdict()}


def spread(values: Sequence[float], *, limits: Interval = ANYWHERE, level: float = LEVEL) -> Spread:
    """The spread of a figure over two trainings or more; the interval is cut at ``limits``.

    Source: Student 1908, https://doi.org/10.2307/2331554.

    Raises:
        SettingsError: if there are fewer than two values: one says nothing of a spread.
    """
    if len(values) < 2:
        raise SettingsError(
            f"a spread needs the figures of at least two trainings, got {len(values)}: train again "
            "with another seed"
        )
    n, mean, sd = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    reach = float(stats.t.ppf(0.5 + level / 2, n - 1)) * sd / math.sqrt(n)
    return Spread(
        n=n,
        mean=mean,
        sd=sd,
        smallest=min(values),
        largest=max(values),
        interval=Interval(max(limits.low, mean - reach), min(limits.high, mean + reach))
        if sd > 0
        else None,
    )


def mean_over_images(right: Array, *, level: float = LEVEL) -> Figure:
    """The mean accuracy of S networks on the same N images, with Wilson's interval for N.

    ``right`` (S, N) bool. The interval is about other images, with these S networks. It counts an
    image once, however many networks saw it. The share of networks that have an image right varies
    no more over images than right and wrong with the same mean do, so it is never too narrow.
    """
    networks, images = right.shape
    if not right.size:
        return UNDEFINED
    successes = float(np.count_nonzero(right)) / networks
    return Figure(successes / images, *wilson(successes, images, level))


def accuracy_over_groups(right: Array, groups: Sequence[str], *, level: float = LEVEL) -> Figure:
    """Accuracy on images (N,) bool, with an interval from a bootstrap over their groups.

    Images of one group resemble one another, so an interval over images is too narrow.

    Source: Davison and Hinkley 1997, *Bootstrap Methods and their Application*, section 3.8.
    """
    if not len(right):
        return UNDEFINED
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.stack([np.bincount(group, weights=right), np.bincount(group)], axis=1)

    def share(drawn: FloatArray) -> FloatArray:
        return ratio(drawn[:, :1], drawn[:, 1:])

    (interval,) = bootstrap(sums.astype(np.float64), share, level=level)
    assert interval is not None, "there are groups"
    return Figure(float(np.mean(right)), *interval)

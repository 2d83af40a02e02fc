"""Whether one network is better than another on the same images, or only luckier."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.errors import DataError, unknown_name
from convoscope.metrics.intervals import LEVEL, RESAMPLES, Figure, bootstrap
from convoscope.metrics.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Images that only the first, or only the second, had right, and how surprising that is.

    ``p_value``: the probability of a division at least as uneven if neither were better.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: Predictions, second: Predictions, head: str) -> McNemar:
    """The exact two-sided test on the images that one network has right and the other wrong.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996, with the binomial distribution in
    place of chi-squared.

    Raises:
        DataError: if the two do not speak of the same labelled images.
        UnknownNameError: if there is no such head.
    """
    one, other = _right(first, second, head)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    return McNemar(
        only_first=only_first,
        only_second=only_second,
        p_value=_two_sided_binomial(min(only_first, only_second), only_first + only_second),
    )


def compare_accuracy(
    first: Predictions,
    second: Predictions,
    head: str,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Figure:
    """The second's accuracy less the first's, with the paired bootstrap's interval.

    Each resample draws images, and both networks are judged on the same ones.

    Raises:
        DataError: if the two do not speak of the same labelled images, or of none.
        UnknownNameError: if there is no such head.
    """
    one, other = _right(first, second, head)
    if not len(one):
        raise DataError(
            f"head {head!r}: a comparison needs images whose label is known, found none: "
            "compare on a labelled split"
        )
    gain: FloatArray = (other.astype(np.float64) - one)[:, None]
    (interval,) = bootstrap(
        gain, lambda sums: sums / len(gain), resamples=resamples, level=level, seed=seed
    )
    assert interval is not None, "a mean over at least one image is always defined"
    return Figure(float(gain.mean()), *interval)


def _right(first: Predictions, second: Predictions, head: str) -> tuple[Array, Array]:
    """(N,) bool for each: whether it has each labelled image right, in the order of the first."""
    order = _same_images(first, second, head)
    labels = first.heads[head].labels
    again = second.heads[head].labels[order]
    if not np.array_equal(labels, again):
        raise DataError(
            f"head {head!r}: two networks can be compared on the same labels only, "
            f"{int((labels != again).sum())} of {len(labels)} differ: test both on the same data"
        )
    labelled = labels >= 0
    one = first.heads[head].predicted() == labels
    other = second.heads[head].predicted()[order] == labels
    return one[labelled], other[labelled]


def _same_images(first: Predictions, second: Predictions, head: str) -> IntArray:
    """Where each image of the first stands in the second."""
    for predictions in (first, second):
        if head not in predictions.heads:
            raise unknown_name("head", head, predictions.heads)
    place = {image: i for i, image in enumerate(second.ids)}
    if len(place) != len(first.ids) or not all(image in place for image in first.ids):
        shared = len(place.keys() & set(first.ids))
        raise DataError(
            f"head {head!r}: two networks can be compared on the same images only, "
            f"{len(first.ids)} and {len(second.ids)} share {shared}: test both on the same split"
        )
    return np.array([place[image] for image in first.ids], dtype=np.int64)


def _two_sided_binomial(k: int, n: int) -> float:
    """P of at most k, or at least n - k, heads of n fair coins, k <= n / 2."""
    if 2 * k == n:
        return 1.0
    log_terms = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(k + 1)
    ]
    largest = max(log_terms)
    tail = math.fsum(math.exp(term - largest) for term in log_terms)
    return min(1.0, 2 * math.exp(math.log(tail) + largest - n * math.log(2)))

"""Whether one network is better than another on the same images, or only luckier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.errors import DataError, unknown_name
from convoscope.metrics.clusters import cluster_sums, number_clusters
from convoscope.metrics.intervals import LEVEL, RESAMPLES, Figure, bootstrap
from convoscope.metrics.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Images that only the first, or only the second, had right, and how surprising that is.

    ``p_value``: the probability of a division at least as uneven if neither were better. Where
    images belong together, each group counts once, for the network that has more of it right.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: Predictions, second: Predictions, head: str | None) -> McNemar:
    """The exact two-sided test on the images that one network has right and the other wrong.

    Without a head an image counts as right where all heads have it right.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996, with the binomial distribution in
    place of chi-squared.

    Raises:
        DataError: if the two do not speak of the same labelled images.
        UnknownNameError: if there is no such head.
    """
    ids, one, other = both_right(first, second, head)
    gain = other.astype(np.int64) - one
    clusters = _clusters(first, ids)
    votes = gain if clusters is None else np.sign(np.bincount(clusters, weights=gain))
    against, in_favour = int((votes < 0).sum()), int((votes > 0).sum())
    return McNemar(
        only_first=int((gain < 0).sum()),
        only_second=int((gain > 0).sum()),
        p_value=_two_sided_binomial(min(against, in_favour), against + in_favour),
    )


def compare_accuracy(
    first: Predictions,
    second: Predictions,
    head: str | None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Figure:
    """The second's accuracy less the first's, with the paired bootstrap's interval.

    Each resample draws images, or groups of those that belong together, and both networks are
    judged on the same ones.

    Raises:
        DataError: if the two do not speak of the same labelled images, or of none.
        UnknownNameError: if there is no such head.
    """
    ids, one, other = both_right(first, second, head)
    if not len(one):
        raise DataError(
            f"{_named(head)}: a comparison needs images whose label is known, found none: "
            "compare on a labelled split"
        )
    gain: FloatArray = other.astype(np.float64) - one
    drawn = np.stack([gain, np.ones(len(gain))], axis=1)
    clusters = _clusters(first, ids)
    if clusters is not None:
        drawn = cluster_sums(drawn, clusters)
    (interval,) = bootstrap(
        drawn,
        lambda sums: sums[:, :1] / sums[:, 1:],
        resamples=resamples,
        level=level,
        seed=seed,
    )
    assert interval is not None, "a mean over at least one image is always defined"
    return Figure(float(gain.mean()), *interval)


def both_right(
    first: Predictions, second: Predictions, head: str | None
) -> tuple[tuple[str, ...], Array, Array]:
    """The ids (N) of the labelled images, and (N,) bool for each whether it has them right.

    Without a head: whether all heads are right, of the images whose labels are all known.

    Raises:
        DataError: if the two do not speak of the same images with the same labels.
        UnknownNameError: if there is no such head.
    """
    heads = tuple(first.heads) if head is None else (head,)
    for predictions in (first, second):
        for name in heads:
            if name not in predictions.heads:
                raise unknown_name("head", name, predictions.heads)
    order = _same_images(first, second, head)
    labelled = np.ones(len(first.ids), dtype=bool)
    one, other = labelled.copy(), labelled.copy()
    for name in heads:
        labels = first.heads[name].labels
        _check_labels(labels, second.heads[name].labels[order], name)
        labelled &= labels >= 0
        one &= first.heads[name].predicted() == labels
        other &= second.heads[name].predicted()[order] == labels
    ids = tuple(first.ids[row] for row in np.flatnonzero(labelled).tolist())
    return ids, one[labelled], other[labelled]


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Each p-value as it counts when all are looked at together, in the same order.

    The smallest of n is multiplied by n, the next by n - 1, and so on, none below one before it:
    whoever calls those below 5 % a difference is wrong with any of them in at most 5 % of cases.

    Source: Holm 1979, https://www.jstor.org/stable/4615733.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return tuple(adjusted)


def _clusters(said: Predictions, ids: Sequence[str]) -> IntArray | None:
    """What each of those images belongs to, where some belong together."""
    if said.groups is None:
        return None
    group_of = dict(zip(said.ids, said.groups, strict=True))
    return number_clusters([group_of[name] for name in ids])


def _check_labels(labels: IntArray, again: IntArray, head: str) -> None:
    if not np.array_equal(labels, again):
        raise DataError(
            f"head {head!r}: two networks can be compared on the same labels only, "
            f"{int((labels != again).sum())} of {len(labels)} differ: test both on the same data"
        )


def _same_images(first: Predictions, second: Predictions, head: str | None) -> IntArray:
    """Where each image of the first stands in the second."""
    place = {image: i for i, image in enumerate(second.ids)}
    if len(place) != len(first.ids) or not all(image in place for image in first.ids):
        shared = len(place.keys() & set(first.ids))
        raise DataError(
            f"{_named(head)}: two networks can be compared on the same images only, "
            f"{len(first.ids)} and {len(second.ids)} share {shared}: test both on the same split"
        )
    return np.array([place[image] for image in first.ids], dtype=np.int64)


def _named(head: str | None) -> str:
    return "all heads" if head is None else f"head {head!r}"


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

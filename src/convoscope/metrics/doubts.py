"""Labels that are probably wrong, images that are hard to tell, images worth labelling next.

All from saved predictions. They should be of images that the network did not learn from (a
validation or test split, or out-of-fold predictions): a network that has learnt a wrong label by
heart no longer doubts it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convoscope.arrays import FloatArray, IntArray
from convoscope.metrics.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An image whose label the network doubts.

    ``given`` and ``suggested`` are class indices, with the probabilities they got.
    """

    id: str
    given: int
    suggested: int
    given_probability: float
    suggested_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguity:
    """An image between two classes; ``margin`` is the distance of their probabilities."""

    id: str
    first: int
    second: int
    first_probability: float
    second_probability: float

    @property
    def margin(self) -> float:
        """0 where both are equally probable, 1 where one is certain."""
        return self.first_probability - self.second_probability


def doubted_labels(predictions: Predictions, head: str) -> tuple[Doubt, ...]:
    """Labels that are probably wrong, the least plausible first.

    A class's threshold is the mean probability that images labelled so get for it. An image is
    counted to the most probable class whose threshold it reaches; where that is not its label,
    the label is doubted. The order is by the probability of the label less that of the other.

    Source: Northcutt, Jiang and Chuang 2021, Confident learning, section 3,
    https://arxiv.org/abs/1911.00068.
    """
    said = predictions.heads[head]
    known = np.flatnonzero(said.labels >= 0)
    probabilities, labels = said.probabilities()[known], said.labels[known]
    counted = _confident_class(probabilities, labels)
    rows = np.flatnonzero((counted >= 0) & (counted != labels))
    doubts = [
        Doubt(
            id=predictions.ids[known[row]],
            given=int(labels[row]),
            suggested=int(counted[row]),
            given_probability=float(probabilities[row, labels[row]]),
            suggested_probability=float(probabilities[row, counted[row]]),
        )
        for row in rows
    ]
    return tuple(sorted(doubts, key=lambda d: d.given_probability - d.suggested_probability))


def ambiguous(predictions: Predictions, head: str, *, count: int = 24) -> tuple[Ambiguity, ...]:
    """The ``count`` images whose two most probable classes are nearest, nearest first.

    Of unlabelled images these are the ones to label next (margin sampling: Scheffer, Decomain and
    Wrobel 2001, https://doi.org/10.1007/3-540-44816-0_31).
    """
    probabilities = predictions.heads[head].probabilities()
    if probabilities.shape[1] < 2:
        return ()
    order = np.argsort(-probabilities, axis=1, kind="stable")
    rows = np.arange(len(probabilities))
    first, second = order[:, 0], order[:, 1]
    margin = probabilities[rows, first] - probabilities[rows, second]
    return tuple(
        Ambiguity(
            id=predictions.ids[row],
            first=int(first[row]),
            second=int(second[row]),
            first_probability=float(probabilities[row, first[row]]),
            second_probability=float(probabilities[row, second[row]]),
        )
        for row in np.argsort(margin, kind="stable")[:count]
    )


def _confident_class(probabilities: FloatArray, labels: IntArray) -> IntArray:
    """(N,) the most probable class whose threshold an image reaches, -1 where it reaches none."""
    classes = probabilities.shape[1]
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    count = np.bincount(labels, minlength=classes)
    # A class without images has no threshold that anything could reach.
    threshold = np.full(classes, np.inf)
    np.divide(np.bincount(labels, own, classes), count, out=threshold, where=count > 0)
    reached = np.where(probabilities >= threshold, probabilities, -1.0)
    return np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)

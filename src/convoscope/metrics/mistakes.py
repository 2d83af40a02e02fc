"""Which images a report shows: the most confident mistakes, and a few of each class.

The choice depends on saved predictions alone, so that the job that stores the pictures and the
report that shows them choose the same ones without knowing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from convoscope.arrays import IntArray
from convoscope.metrics.predictions import Predictions

MISTAKES_SHOWN = 12
SAMPLE_BUDGET = 120
SAMPLES_AT_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """An image that was given a wrong class; ``confidence`` is that class's probability,
    ``true_probability`` the one that the right class got.
    """

    id: str
    true: int
    predicted: int
    confidence: float
    true_probability: float


def most_confident_mistakes(
    predictions: Predictions, head: str, *, count: int = MISTAKES_SHOWN
) -> tuple[Mistake, ...]:
    """The wrongly classified images of known label, most confident first, at most ``count``."""
    said = predictions.heads[head]
    probabilities = said.probabilities()
    predicted, rows = said.predicted(), np.arange(len(said.labels))
    confidence = probabilities[rows, predicted]
    wrong = np.flatnonzero((said.labels >= 0) & (predicted != said.labels))
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return tuple(
        Mistake(
            id=predictions.ids[index],
            true=int(said.labels[index]),
            predicted=int(predicted[index]),
            confidence=float(confidence[index]),
            true_probability=float(probabilities[index, said.labels[index]]),
        )
        for index in chosen
    )


def class_samples(predictions: Predictions, head: str) -> tuple[tuple[str, ...], ...]:
    """For each class of the head the ids of a few of its images, evenly spread over the split.

    All classes together get about ``SAMPLE_BUDGET`` images, each at least one if it has one.
    """
    said = predictions.heads[head]
    classes = len(said.class_names)
    each = max(1, min(SAMPLES_AT_MOST, SAMPLE_BUDGET // classes))
    return tuple(
        tuple(predictions.ids[index] for index in _spread(np.flatnonzero(said.labels == k), each))
        for k in range(classes)
    )


def pictures_needed(splits: Iterable[Predictions]) -> tuple[str, ...]:
    """The ids of every image that a report of these splits shows, each once, in reading order.

    The class samples come from the first split, the mistakes from each.
    """
    ids: dict[str, None] = {}
    for position, predictions in enumerate(splits):
        if position == 0:
            for head in predictions.heads:
                samples = class_samples(predictions, head)
                ids.update((name, None) for names in samples for name in names)
        ids.update((name, None) for name in pictures_of_mistakes(predictions))
    return tuple(ids)


def pictures_of_mistakes(predictions: Predictions) -> tuple[str, ...]:
    """The ids of the mistakes that a report shows of one split, each once."""
    ids: dict[str, None] = {}
    for head in predictions.heads:
        wrong = most_confident_mistakes(predictions, head)
        ids.update((mistake.id, None) for mistake in wrong)
    return tuple(ids)


def picture_name(split: str, id_: str) -> str:
    """What the picture of an image of other data is called: its id may be one of the run's too."""
    return f"{split}: {id_}"


def _spread(indices: IntArray, count: int) -> IntArray:
    if len(indices) <= count:
        return indices
    return indices[np.arange(count) * len(indices) // count]

"""Right and wrong: losses, confusion counts, precision, recall and F1, from saved predictions.

An image whose label is not known (-1) takes part in nothing. Rows of a confusion matrix are the
true classes, columns the predicted ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.metrics.intervals import ratio
from convoscope.metrics.predictions import HeadPredictions, Predictions


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Per class the images right, truly of it, and predicted to be it: (K,), or (R, K)."""

    correct: IntArray
    support: IntArray
    predicted: IntArray


def known(head: HeadPredictions) -> HeadPredictions:
    """The same predictions without the images whose label is not known."""
    labelled = head.labels >= 0
    if labelled.all():
        return head
    return replace(head, labels=head.labels[labelled], logits=head.logits[labelled])


def losses(head: HeadPredictions) -> FloatArray:
    """Each image's cross-entropy in nats, (N,) float64; every label must be known.

    Categorical for a softmax, -log p of the true class. Binary for a sigmoid, mean over its units:
    one unit speaks of class 1, several speak of one class each.
    """
    logits = head.logits.astype(np.float64)
    if head.output == "sigmoid":
        units = logits.shape[1]
        is_class = np.arange(units) == head.labels[:, None] if units > 1 else head.labels[:, None]
        # log(1 + exp(x)) - x y, which neither overflows nor loses a small loss.
        image_losses: FloatArray = (np.logaddexp(0, np.where(is_class, -logits, logits))).mean(1)
        return image_losses
    shifted = logits - logits.max(axis=1, keepdims=True)
    true = np.take_along_axis(shifted, head.labels[:, None], axis=1)[:, 0]
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - true)


def head_loss(head: HeadPredictions) -> float:
    """The mean of :func:`losses` over the images whose label is known, NaN if there are none.

    It is what a learner without class weights and label smoothing makes small.
    """
    labelled = known(head)
    return float(losses(labelled).mean()) if len(labelled.labels) else float("nan")


def total_loss(predictions: Predictions, weights: Mapping[str, float] | None = None) -> float:
    """The sum of the heads' losses, each times its weight (1 unless given)."""
    return sum(
        (weights or {}).get(name, 1.0) * head_loss(head) for name, head in predictions.heads.items()
    )


def head_accuracy(head: HeadPredictions) -> float:
    """The share of images with a known label that are right, NaN if there are none."""
    labelled = known(head)
    right = labelled.predicted() == labelled.labels
    return float(right.mean()) if len(right) else float("nan")


def whole_right(predictions: Predictions) -> Array:
    """(M,) bool: whether all heads are right, for the M images whose labels are all known."""
    right = np.ones(len(predictions.ids), dtype=bool)
    for head in predictions.heads.values():
        right &= head.predicted() == head.labels
    return right[whole_known(predictions)]


def whole_known(predictions: Predictions) -> Array:
    """(N,) bool: of which images all labels are known."""
    labels = [head.labels for head in predictions.heads.values()]
    return np.asarray((np.stack(labels) >= 0).all(axis=0))


def whole_accuracy(predictions: Predictions) -> float:
    """The share of images that all heads have right, NaN if no image has all its labels."""
    right = whole_right(predictions)
    return float(right.mean()) if len(right) else float("nan")


def confusion(head: HeadPredictions) -> IntArray:
    """(K, K) counts: rows true, columns predicted."""
    labelled = known(head)
    classes = len(head.class_names)
    cells = labelled.labels * classes + labelled.predicted()
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def ranks(head: HeadPredictions) -> IntArray:
    """(N,) how many classes the network prefers to the true one: 0 where the image is right.

    Of equal logits the class with the smaller index is preferred, as in ``predicted``.
    """
    if head.logits.shape[1] == 1:
        return np.asarray(head.predicted() != head.labels, dtype=np.int64)
    true = np.take_along_axis(head.logits, head.labels[:, None], axis=1)
    before = np.arange(head.logits.shape[1]) < head.labels[:, None]
    preferred = (head.logits > true) | ((head.logits == true) & before)
    return np.asarray(preferred.sum(axis=1), dtype=np.int64)


def counts(matrix: IntArray) -> Counts:
    """What precision, recall and F1 need of a confusion matrix (K, K)."""
    return Counts(np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0))


def precision(counted: Counts) -> FloatArray:
    """Right / predicted; NaN for a class that was never predicted."""
    return ratio(counted.correct, counted.predicted)


def recall(counted: Counts) -> FloatArray:
    """Right / truly of the class; NaN for a class without images."""
    return ratio(counted.correct, counted.support)


def f1(counted: Counts) -> FloatArray:
    """2 right / (predicted + truly); NaN for a class that neither occurs nor is predicted.

    It is the harmonic mean of precision and recall, and 0 where precision is undefined only because
    the class was never predicted.
    """
    return ratio(2 * counted.correct, counted.predicted + counted.support)


def means(counted: Counts) -> FloatArray:
    """(..., 6): macro and weighted means of precision, recall and F1, NaN without any image.

    ``[macro P, macro R, macro F1, weighted P, weighted R, weighted F1]``. Both are over the classes
    that have images; a class that has some and was never predicted counts with precision 0, so that
    giving a class up does not raise the mean. Macro recall is the balanced accuracy.
    """
    occurs = counted.support > 0
    per_class = [
        np.where(occurs, np.nan_to_num(figure), 0.0)
        for figure in (precision(counted), recall(counted), f1(counted))
    ]
    macro = [ratio(figure.sum(axis=-1), occurs.sum(axis=-1)) for figure in per_class]
    weighted = [
        ratio((figure * counted.support).sum(axis=-1), counted.support.sum(axis=-1))
        for figure in per_class
    ]
    return np.stack([*macro, *weighted], axis=-1)


class CellCounts:
    """Counts from the filled cells of a confusion matrix, for many resampled matrices at once."""

    def __init__(self, matrix: IntArray) -> None:
        self._classes = len(matrix)
        self._rows, self._columns = np.nonzero(matrix)
        self.cells = matrix[self._rows, self._columns]

    def of_images(self, labels: IntArray, predicted: IntArray) -> IntArray:
        """(N,) in which of the filled cells each image lies."""
        filled = self._rows * self._classes + self._columns
        return np.searchsorted(filled, labels * self._classes + predicted)

    def __call__(self, resampled: IntArray) -> Counts:
        """(R, M) counts of the filled cells to :class:`Counts` of (R, K)."""
        on_diagonal = self._rows == self._columns
        return Counts(
            self._sums(resampled[:, on_diagonal], self._rows[on_diagonal]),
            self._sums(resampled, self._rows),
            self._sums(resampled, self._columns),
        )

    def _sums(self, resampled: IntArray, classes: IntArray) -> IntArray:
        """Add up (R, M) by the class of each of M cells: (R, K)."""
        sums = np.zeros((len(resampled), self._classes), dtype=np.int64)
        order = np.argsort(classes, kind="stable")
        present, starts = np.unique(classes[order], return_index=True)
        if len(present):
            sums[:, present] = np.add.reduceat(resampled[:, order], starts, axis=1)
        return sums

"""All figures of one split, from its saved predictions, with their intervals.

``SplitMetrics.to_json()`` is the stable form::

    {"split", "images", "independent", "level", "loss": F,
     "heads": {name: {
        "n", "correct", "loss": F, "accuracy": F, "balanced_accuracy": F, "top_k": {"3": F, ...},
        "macro" | "micro" | "weighted": {"precision": F, "recall": F, "f1": F},
        "classes": [{"name", "support", "predicted", "correct",
                     "precision": F, "recall": F, "f1": F}, ...],
        "confusion": [[int, ...], ...],              rows true, columns predicted
        "calibration": {"error": F, "brier": F,
                        "bins": [{"low", "high", "n", "confidence", "accuracy"}, ...]}}},
     "whole": {"n", "correct", "accuracy": F}}       all heads right

F is ``{"value", "low", "high"}``, all ``null`` where undefined. Proportions carry Wilson's
interval, the rest a bootstrap's over images. Where images belong together - copies of a picture,
pictures of a patient - ``independent`` is the number of such groups, and both kinds of interval
count groups, see :mod:`convoscope.metrics.clusters`; else it is ``null``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np

from convoscope import notebook
from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.errors import DivergedError
from convoscope.metrics import calibration, classification
from convoscope.metrics.calibration import CalibrationBin
from convoscope.metrics.classification import CellCounts, Counts
from convoscope.metrics.clusters import bootstrap_cells, cluster_sums, number_clusters, share
from convoscope.metrics.intervals import (
    LEVEL,
    RESAMPLES,
    UNDEFINED,
    Figure,
    Interval,
    bootstrap,
    bootstrap_counts,
)
from convoscope.metrics.predictions import HeadPredictions, Predictions

TOP_K = (2, 3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """Precision, recall and F1 over all classes."""

    precision: Figure
    recall: Figure
    f1: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """One class: images of it (support), images said to be it (predicted), and those of both."""

    name: str
    support: int
    predicted: int
    correct: int
    precision: Figure
    recall: Figure
    f1: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The expected calibration error, Brier's score and the reliability diagram behind the error.

    Resampling adds noise inside the bins, so the error's interval lies rather high.
    """

    error: Figure
    brier: Figure
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadMetrics:
    """One head's figures, over the ``n`` images whose label is known."""

    n: int
    correct: int
    loss: Figure
    accuracy: Figure
    balanced_accuracy: Figure
    top_k: Mapping[int, Figure]
    macro: Averages
    micro: Averages
    weighted: Averages
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration

    def to_json(self) -> dict[str, Any]:
        """As at the head of this file."""
        return asdict(self) | {"top_k": {str(k): asdict(v) for k, v in self.top_k.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeMetrics:
    """How often all heads are right at once, over the ``n`` images whose labels are all known."""

    n: int
    correct: int
    accuracy: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitMetrics:
    """One split's figures. ``loss`` adds up the heads' losses; ``independent`` is the number of
    groups that the intervals count, ``None`` where they count images.
    """

    split: str
    images: int
    independent: int | None
    level: float
    loss: Figure
    heads: Mapping[str, HeadMetrics]
    whole: WholeMetrics

    def to_json(self) -> dict[str, Any]:
        """As at the head of this file."""
        return {
            "split": self.split,
            "images": self.images,
            "independent": self.independent,
            "level": self.level,
            "loss": self.loss.to_json(),
            "heads": {name: head.to_json() for name, head in self.heads.items()},
            "whole": asdict(self.whole),
        }

    def _repr_html_(self) -> str:
        rows = [
            (name, head.n, head.correct, *(notebook.figure(*astuple(f)) for f in figures))
            for name, head in self.heads.items()
            for figures in [(head.accuracy, head.balanced_accuracy, head.macro.f1, head.loss)]
        ]
        header = ("head", "images", "right", "accuracy", "balanced accuracy", "macro F1", "loss")
        return notebook.table(f"{self.split}, {self.level:.0%} intervals", header, rows)


def summarise(
    predictions: Predictions, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> SplitMetrics:
    """Every figure of one split.

    Raises:
        DivergedError: if a logit is no finite number.
    """
    for name, head in predictions.heads.items():
        _check_finite(predictions.split, name, head)
    clusters = None if predictions.groups is None else number_clusters(predictions.groups)
    means, loss = _means(predictions, clusters, level, resamples, seed)
    right = classification.whole_right(predictions)
    known = classification.whole_known(predictions)
    return SplitMetrics(
        split=predictions.split,
        images=len(predictions.ids),
        independent=None if clusters is None else len(np.unique(clusters)),
        level=level,
        loss=loss,
        heads={
            name: _head(head, clusters, means[name], level, resamples, seed)
            for name, head in predictions.heads.items()
        },
        whole=WholeMetrics(
            n=len(right),
            correct=int(right.sum()),
            accuracy=share(right, None if clusters is None else clusters[known], level),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Means:
    loss: Figure
    error: Figure
    brier: Figure


def _head(
    head: HeadPredictions,
    clusters: IntArray | None,
    means: _Means,
    level: float,
    resamples: int,
    seed: int,
) -> HeadMetrics:
    labelled = classification.known(head)
    own = None if clusters is None else clusters[head.labels >= 0]
    matrix = classification.confusion(head)
    accuracy = share(labelled.predicted() == labelled.labels, own, level)
    averages, f1 = _from_counts(matrix, labelled, own, level, resamples, seed)
    return HeadMetrics(
        n=len(labelled.labels),
        correct=int(np.trace(matrix)),
        loss=means.loss,
        accuracy=accuracy,
        balanced_accuracy=averages[1],
        top_k=_top_k(labelled, own, level),
        macro=Averages(precision=averages[0], recall=averages[1], f1=averages[2]),
        micro=Averages(precision=accuracy, recall=accuracy, f1=accuracy),
        weighted=Averages(precision=averages[3], recall=accuracy, f1=averages[5]),
        classes=_classes(labelled, own, classification.counts(matrix), f1, level),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        calibration=Calibration(
            error=means.error, brier=means.brier, bins=calibration.calibration_bins(labelled)
        ),
    )


def _from_counts(
    matrix: IntArray,
    labelled: HeadPredictions,
    clusters: IntArray | None,
    level: float,
    resamples: int,
    seed: int,
) -> tuple[list[Figure], list[Figure]]:
    """The six means and each class's F1."""
    cells = CellCounts(matrix)

    def figures(counted: Counts) -> FloatArray:
        return np.concatenate([classification.means(counted), classification.f1(counted)], axis=-1)

    def statistic(resampled: IntArray) -> FloatArray:
        return figures(cells(resampled))

    if clusters is None:
        intervals = bootstrap_counts(
            cells.cells, statistic, resamples=resamples, level=level, seed=seed
        )
    else:
        intervals = bootstrap_cells(
            cells.of_images(labelled.labels, labelled.predicted()),
            clusters,
            statistic,
            resamples=resamples,
            level=level,
            seed=seed,
        )
    values = figures(classification.counts(matrix))
    together = [_figure(*pair) for pair in zip(values.tolist(), intervals, strict=True)]
    return together[:6], together[6:]


def _classes(
    labelled: HeadPredictions,
    clusters: IntArray | None,
    counted: Counts,
    f1: list[Figure],
    level: float,
) -> tuple[ClassMetrics, ...]:
    labels, predicted = labelled.labels, labelled.predicted()
    right = labels == predicted

    def of(images: Array) -> Figure:
        return share(right[images], None if clusters is None else clusters[images], level)

    return tuple(
        ClassMetrics(
            name=name,
            support=int(counted.support[k]),
            predicted=int(counted.predicted[k]),
            correct=int(counted.correct[k]),
            precision=of(predicted == k),
            recall=of(labels == k),
            f1=f1[k],
        )
        for k, name in enumerate(labelled.class_names)
    )


def _top_k(labelled: HeadPredictions, clusters: IntArray | None, level: float) -> dict[int, Figure]:
    """Shares of images whose true class is among the k preferred, for each k below the classes."""
    ranks = classification.ranks(labelled)
    return {k: share(ranks < k, clusters, level) for k in TOP_K if k < len(labelled.class_names)}


def _means(
    predictions: Predictions, clusters: IntArray | None, level: float, resamples: int, seed: int
) -> tuple[dict[str, _Means], Figure]:
    """Loss, calibration error and Brier's score of each head, and the total loss.

    All heads speak of the same images, so each resample is drawn once for all of them.
    """
    blocks = [_columns(head) for head in predictions.heads.values()]

    def figures(sums: FloatArray) -> FloatArray:
        parts = np.split(sums, len(blocks), axis=1)
        heads = [_from_sums(part) for part in parts]
        total = np.sum([head[:, :1] for head in heads], axis=0)
        return np.concatenate([total, *heads], axis=1)

    columns = np.concatenate(blocks, axis=1)
    if clusters is not None:
        columns = cluster_sums(columns, clusters)
    intervals = bootstrap(columns, figures, resamples=resamples, level=level, seed=seed)
    values = figures(columns.sum(axis=0, keepdims=True))[0].tolist()
    total, *rest = [_figure(*pair) for pair in zip(values, intervals, strict=True)]
    return {
        name: _Means(*rest[3 * i : 3 * i + 3]) for i, name in enumerate(predictions.heads)
    }, total


def _columns(head: HeadPredictions) -> FloatArray:
    """(N, 3 + bins): known, loss, Brier's score and calibration gaps; zeros where not known."""
    labelled = classification.known(head)
    columns = np.zeros((len(head.labels), 3 + calibration.BINS))
    columns[head.labels >= 0] = np.column_stack(
        [
            np.ones(len(labelled.labels)),
            classification.losses(labelled),
            calibration.brier(labelled),
            calibration.gaps(labelled),
        ]
    )
    return columns


def _from_sums(sums: FloatArray) -> FloatArray:
    """(R, 3): loss, calibration error, Brier's score from sums of :func:`_columns`."""
    n = sums[:, 0]
    means = sums[:, 1:3] / np.where(n > 0, n, np.nan)[:, None]
    error = calibration.calibration_error(sums[:, 3:], n)
    return np.column_stack([means[:, 0], error, means[:, 1]])


def _figure(value: float, interval: Interval | None) -> Figure:
    return UNDEFINED if interval is None or np.isnan(value) else Figure(value, *interval)


def _check_finite(split: str, name: str, head: HeadPredictions) -> None:
    broken = int((~np.isfinite(head.logits)).any(axis=1).sum())
    if broken:
        raise DivergedError(
            f"{split} predictions: head {name!r}: logits must be finite numbers, those of {broken} "
            f"of {len(head.logits)} images are not: train again with a smaller learning rate"
        )

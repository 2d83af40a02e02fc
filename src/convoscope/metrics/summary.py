"""All figures of one split, from its saved predictions, with their intervals.

``SplitMetrics.to_json()`` is the stable form::

    {"split", "images", "level", "loss": F,
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
interval, the rest a bootstrap's over images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np

from convoscope import notebook
from convoscope.arrays import FloatArray, IntArray
from convoscope.errors import DivergedError
from convoscope.metrics import calibration, classification
from convoscope.metrics.calibration import CalibrationBin
from convoscope.metrics.classification import CellCounts, Counts
from convoscope.metrics.intervals import (
    LEVEL,
    RESAMPLES,
    UNDEFINED,
    Figure,
    Interval,
    bootstrap,
    bootstrap_counts,
    proportion,
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
    """One split's figures. ``loss`` adds up the heads' losses."""

    split: str
    images: int
    level: float
    loss: Figure
    heads: Mapping[str, HeadMetrics]
    whole: WholeMetrics

    def to_json(self) -> dict[str, Any]:
        """As at the head of this file."""
        return {
            "split": self.split,
            "images": self.images,
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
    means, loss = _means(predictions, level, resamples, seed)
    right = classification.whole_right(predictions)
    return SplitMetrics(
        split=predictions.split,
        images=len(predictions.ids),
        level=level,
        loss=loss,
        heads={
            name: _head(head, means[name], level, resamples, seed)
            for name, head in predictions.heads.items()
        },
        whole=WholeMetrics(
            n=len(right),
            correct=int(right.sum()),
            accuracy=proportion(int(right.sum()), len(right), level),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Means:
    loss: Figure
    error: Figure
    brier: Figure


def _head(
    head: HeadPredictions, means: _Means, level: float, resamples: int, seed: int
) -> HeadMetrics:
    labelled = classification.known(head)
    n, matrix = len(labelled.labels), classification.confusion(head)
    correct = int(np.trace(matrix))
    accuracy = proportion(correct, n, level)
    averages, f1 = _from_counts(matrix, level, resamples, seed)
    return HeadMetrics(
        n=n,
        correct=correct,
        loss=means.loss,
        accuracy=accuracy,
        balanced_accuracy=averages[1],
        top_k=_top_k(labelled, level),
        macro=Averages(precision=averages[0], recall=averages[1], f1=averages[2]),
        micro=Averages(precision=accuracy, recall=accuracy, f1=accuracy),
        weighted=Averages(precision=averages[3], recall=accuracy, f1=averages[5]),
        classes=_classes(head.class_names, classification.counts(matrix), f1, level),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        calibration=Calibration(
            error=means.error, brier=means.brier, bins=calibration.calibration_bins(labelled)
        ),
    )


def _from_counts(
    matrix: IntArray, level: float, resamples: int, seed: int
) -> tuple[list[Figure], list[Figure]]:
    """The six means and each class's F1."""
    cells = CellCounts(matrix)

    def figures(counted: Counts) -> FloatArray:
        return np.concatenate([classification.means(counted), classification.f1(counted)], axis=-1)

    intervals = bootstrap_counts(
        cells.cells,
        lambda resampled: figures(cells(resampled)),
        resamples=resamples,
        level=level,
        seed=seed,
    )
    values = figures(classification.counts(matrix))
    together = [_figure(*pair) for pair in zip(values.tolist(), intervals, strict=True)]
    return together[:6], together[6:]


def _classes(
    names: tuple[str, ...], counted: Counts, f1: list[Figure], level: float
) -> tuple[ClassMetrics, ...]:
    columns = zip(
        names,
        counted.support.tolist(),
        counted.predicted.tolist(),
        counted.correct.tolist(),
        f1,
        strict=True,
    )
    return tuple(
        ClassMetrics(
            name=name,
            support=support,
            predicted=predicted,
            correct=correct,
            precision=proportion(correct, predicted, level),
            recall=proportion(correct, support, level),
            f1=class_f1,
        )
        for name, support, predicted, correct, class_f1 in columns
    )


def _top_k(labelled: HeadPredictions, level: float) -> dict[int, Figure]:
    """Shares of images whose true class is among the k preferred, for each k below the classes."""
    ranks = classification.ranks(labelled)
    return {
        k: proportion(int((ranks < k).sum()), len(ranks), level)
        for k in TOP_K
        if k < len(labelled.class_names)
    }


def _means(
    predictions: Predictions, level: float, resamples: int, seed: int
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

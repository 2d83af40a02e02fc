"""Whether a probability means what it says: of images given 80 %, are 80 % right?

The confidence of a prediction is the probability of the predicted class.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from convoscope.arrays import FloatArray, IntArray
from convoscope.metrics.intervals import ratio
from convoscope.metrics.predictions import HeadPredictions

BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """The ``n`` images whose confidence lies in (low, high]; ``None`` where there are none."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def confidences(head: HeadPredictions) -> FloatArray:
    """(N,) the probability of the predicted class."""
    probabilities = head.probabilities()
    return np.take_along_axis(probabilities, head.predicted()[:, None], axis=1)[:, 0]


def bin_of(confidence: FloatArray, bins: int = BINS) -> IntArray:
    """(N,) the index of the equal-width bin (low, high] of each confidence; 0 is in the first."""
    index = np.ceil(confidence * bins).astype(np.int64) - 1
    return np.clip(index, 0, bins - 1)


def calibration_bins(head: HeadPredictions, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """The reliability diagram's bins, all labels being known."""
    confidence = confidences(head)
    index = bin_of(confidence, bins)
    n = np.bincount(index, minlength=bins)
    right = np.bincount(index, weights=head.predicted() == head.labels, minlength=bins)
    total = np.bincount(index, weights=confidence, minlength=bins)
    return tuple(
        CalibrationBin(
            low=b / bins,
            high=(b + 1) / bins,
            n=int(n[b]),
            confidence=float(total[b] / n[b]) if n[b] else None,
            accuracy=float(right[b] / n[b]) if n[b] else None,
        )
        for b in range(bins)
    )


def gaps(head: HeadPredictions, bins: int = BINS) -> FloatArray:
    """(N, bins): in the column of each image's bin its confidence less 1 if it is right, else 0."""
    confidence = confidences(head)
    right = head.predicted() == head.labels
    columns = np.zeros((len(confidence), bins))
    columns[np.arange(len(confidence)), bin_of(confidence, bins)] = confidence - right
    return columns


def calibration_error(gap_sums: FloatArray, n: FloatArray) -> FloatArray:
    """The expected calibration error, from sums (..., bins) of :func:`gaps` over ``n`` images.

    Source: Guo et al. 2017, equation 3, https://arxiv.org/abs/1706.04599: the mean distance of
    confidence and accuracy over 15 equal-width bins, weighted by the images in each.
    """
    return ratio(np.abs(gap_sums).sum(axis=-1), n)


def brier(head: HeadPredictions) -> FloatArray:
    """(N,) each image's squared distance of probabilities and truth, summed over classes: 0 to 2.

    Source: Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2. Two classes
    count as two, so it is twice the form with one probability.
    """
    truth = np.arange(len(head.class_names)) == head.labels[:, None]
    return np.asarray(((head.probabilities() - truth) ** 2).sum(axis=1))

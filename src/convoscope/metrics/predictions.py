"""Saved predictions: the only source of every figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from convoscope.arrays import FloatArray, IntArray

Output: TypeAlias = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadPredictions:
    """What one head said of N images.

    ``labels`` (N,) int64, -1 where not known; ``logits`` (N, K), or (N, 1) for a sigmoid head of
    two classes. ``class_names`` has one name per class.
    """

    class_names: tuple[str, ...]
    labels: IntArray
    logits: FloatArray
    output: Output = "softmax"

    def probabilities(self) -> FloatArray:
        """(N, K) in float64, rows adding to 1; a two-class sigmoid gives both columns."""
        logits = self.logits.astype(np.float64)
        if self.output == "sigmoid":
            positive = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
            return np.hstack([1 - positive, positive]) if logits.shape[1] == 1 else positive
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: FloatArray = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def predicted(self) -> IntArray:
        """(N,) the most probable class; a two-class sigmoid is thresholded at 0.5."""
        return np.asarray(self.probabilities().argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What a network said of the images of one split, per head; ``ids`` name the images."""

    split: str
    ids: tuple[str, ...]
    heads: Mapping[str, HeadPredictions]

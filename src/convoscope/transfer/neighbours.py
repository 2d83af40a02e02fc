"""k nearest neighbours in the features: what a pretrained network tells apart without learning.

A vote among training images is no layer, and its answers are no logits of weights, so this is not
a head: it is the figure that a head has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray

CHOICES = (1, 3, 5, 10, 20)
"""The numbers of neighbours among which validation chooses."""

USUAL = 5
"""The number where there is no validation."""

_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """The training images that vote: unit ``vectors`` (M, C), their ``labels`` (M,) of ``classes``;
    ``k`` of them have a vote.
    """

    vectors: FloatArray
    labels: IntArray
    classes: int
    k: int

    def logits(self, vectors: FloatArray) -> FloatArray:
        """Log shares of the votes (n, K) for unit vectors (n, C).

        The nearest are those with the largest cosine; each class has 1 / K of a vote beforehand,
        so that no share is 0.
        """
        parts = [
            self._shares(vectors[start : start + _AT_ONCE])
            for start in range(0, len(vectors), _AT_ONCE)
        ]
        logits: FloatArray = np.log(np.concatenate(parts)).astype(np.float32)
        return logits

    def _shares(self, vectors: FloatArray) -> FloatArray:
        near = np.argsort(-(vectors @ self.vectors.T), axis=1, kind="stable")[:, : self.k]
        votes = (self.labels[near][:, :, None] == np.arange(self.classes)).sum(axis=1)
        shares: FloatArray = (votes + 1 / self.classes) / (near.shape[1] + 1)
        return shares


def directions(maps: Array) -> FloatArray:
    """Each image's features (N, h, w, C), averaged over places, as a unit vector (N, C)."""
    parts = [
        np.asarray(maps[start : start + _AT_ONCE], np.float32).mean(axis=(1, 2))
        for start in range(0, len(maps), _AT_ONCE)
    ]
    vectors = np.concatenate(parts)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = vectors / np.where(lengths > 0, lengths, 1)
    return unit


def choose(
    vectors: FloatArray,
    labels: IntArray,
    classes: int,
    *,
    train: IntArray,
    validation: IntArray,
) -> Neighbours:
    """The neighbours with the ``k`` that is right most often on validation; of equals the smallest.

    ``vectors`` (N, C) and ``labels`` (N,), -1 where not known, are of all images; ``train`` and
    ``validation`` are rows of them.
    """
    voters = train[labels[train] >= 0]
    asked = validation[labels[validation] >= 0]

    def having(k: int) -> Neighbours:
        return Neighbours(vectors=vectors[voters], labels=labels[voters], classes=classes, k=k)

    possible = [k for k in CHOICES if k <= len(voters)] or [1]
    if not len(asked):
        return having(min(USUAL, len(voters)))
    right = [
        int((having(k).logits(vectors[asked]).argmax(axis=1) == labels[asked]).sum())
        for k in possible
    ]
    return having(possible[right.index(max(right))])

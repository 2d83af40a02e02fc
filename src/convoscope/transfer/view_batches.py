"""Batches of features: each image in one of its views, another one from epoch to epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.transfer.features import Features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewBatch:
    """``images`` (n, C, h, w), a view of (n, h, w, C); ``labels`` per head (n,)."""

    images: FloatArray
    labels: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewBatches:
    """The training images' features, epoch after epoch.

    The order of an epoch depends on (seed, epoch), the view of an image on (seed, epoch, its row).
    """

    features: Features
    labels: Mapping[str, Array]
    indices: IntArray
    batch_size: int
    seed: int

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.indices) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[ViewBatch]:
        """The batches of that epoch, in its own order."""
        order = generator(self.seed, "shuffle", epoch).permutation(self.indices)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            seen = [self._view(epoch, row)[row] for row in rows.tolist()]
            yield ViewBatch(
                images=np.stack(seen).transpose(0, 3, 1, 2),
                labels={head: labels[rows] for head, labels in self.labels.items()},
            )

    def _view(self, epoch: int, row: int) -> FloatArray:
        """The view in which the image of that row is seen in that epoch."""
        views = self.features.views
        return views[generator(self.seed, "view", epoch, row).integers(len(views))]

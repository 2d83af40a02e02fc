"""Batches of images: shuffled by (seed, epoch) and augmented for training, in order for testing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from convoscope.arrays import Array, ByteArray, IntArray, generator
from convoscope.data.augment import Policy, augment, find_policy
from convoscope.data.mixing import mixed
from convoscope.data.workers import default_workers, ordered
from convoscope.errors import DataError, SettingsError

_WORKERS_AT_MOST = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """``images`` (n, C, H, W) uint8, a view of (n, H, W, C); ``labels`` per head (n,), -1 where not
    known, or where images are mixed (n, K) shares, a row of -1 where not known; ``indices`` (n,):
    which rows of the data set these are.
    """

    images: Array
    labels: Mapping[str, Array] = field(default_factory=dict)
    indices: IntArray


class Batches:
    """The training images, epoch after epoch.

    The order of an epoch depends on (seed, epoch), the change of an image on (seed, epoch, its
    row), and of its batch where images are mixed: neither on what came before, nor on the number of
    threads that prepare batches ahead.
    The last batch of an epoch holds what is left, down to a single image: every image is seen in
    every epoch, and a short batch's step is as long as any other's.
    """

    def __init__(
        self,
        images: Array,
        labels: Mapping[str, Array],
        indices: IntArray,
        *,
        batch_size: int,
        seed: int,
        policy: str | Policy = "none",
        classes: Mapping[str, int] | None = None,
        workers: int | None = None,
    ) -> None:
        """``images`` (N, H, W, C) uint8, or features of any type, which no policy can change;
        ``labels`` per head (N,), ``indices`` (M,) rows. ``classes`` says how many there are per
        head, for labels that become soft; without it, as many as the labels name.

        Raises:
            SettingsError: if the batch size is below 1.
            DataError: if there is no image.
            UnknownNameError: if there is no policy of that name.
        """
        _check(batch_size, indices)
        self.images = images
        self.labels = labels
        self.indices = indices
        self.batch_size = batch_size
        self.seed = seed
        self.policy = find_policy(policy) if isinstance(policy, str) else policy
        self.classes = classes or {head: int(known.max()) + 1 for head, known in labels.items()}
        self.workers = workers or min(default_workers(), _WORKERS_AT_MOST)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.indices) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of that epoch, in its own order."""
        order = generator(self.seed, "shuffle", epoch).permutation(self.indices)

        def prepare(rows: IntArray) -> Batch:
            images = self._augmented(rows, epoch)
            labels: dict[str, Array] = {head: known[rows] for head, known in self.labels.items()}
            if self.policy.mixes:
                rngs = [generator(self.seed, "mix", epoch, row) for row in rows.tolist()]
                images, soft = mixed(images, labels, self.classes, self.policy, rngs)
                labels = dict(soft)
            return Batch(images=images.transpose(0, 3, 1, 2), labels=labels, indices=rows)

        return ordered(prepare, _cut(order, self.batch_size), workers=self.workers, ahead=2)

    def _augmented(self, rows: IntArray, epoch: int) -> Array:
        """(n, H, W, C), contiguous and our own: the memory map stays as it is."""
        if not self.policy.changes:
            return np.asarray(self.images[rows])
        batch = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        for place, row in enumerate(rows.tolist()):
            rng = generator(self.seed, "augment", epoch, row)
            batch[place] = augment(np.asarray(self.images[row]), self.policy, rng)
        return batch


def in_order(
    images: ByteArray, indices: IntArray, batch_size: int, labels: Mapping[str, Array] | None = None
) -> Iterator[Batch]:
    """The rows ``indices`` of ``images`` (N, H, W, C), as they are and in their order, in batches.

    Raises:
        SettingsError: if the batch size is below 1.
        DataError: if there is no image.
    """
    _check(batch_size, indices)
    for rows in _cut(indices, batch_size):
        yield Batch(
            images=np.asarray(images[rows]).transpose(0, 3, 1, 2),
            labels={head: known[rows] for head, known in (labels or {}).items()},
            indices=rows,
        )


def _cut(rows: IntArray, batch_size: int) -> Iterator[IntArray]:
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]


def _check(batch_size: int, indices: IntArray) -> None:
    if batch_size < 1:
        raise SettingsError(f"batch must be at least 1 image, got {batch_size}")
    if not len(indices):
        raise DataError("batches need at least one image, got none: choose a split that has some")

"""The steps of one epoch: a batch, a rate, a step, and now and then a look at the losses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from convoscope.arrays import Array
from convoscope.network import Learner
from convoscope.training.events import Listener, StepsDone

DRAIN_SECONDS = 0.25


class Batch(Protocol):
    """What one step learns from."""

    @property
    def images(self) -> Array:
        """(n, C, H, W)."""
        ...

    @property
    def labels(self) -> Mapping[str, Array]:
        """Per head (n,), -1 where not known."""
        ...


class Batches(Protocol):
    """The training images in batches, in an order that depends on the epoch's number alone."""

    @property
    def indices(self) -> Array:
        """Which images take part."""
        ...

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of that epoch, counted from 1."""
        ...

    def __len__(self) -> int:
        """Steps per epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Learnt:
    """The losses of an epoch's steps, and whether all of its steps were done."""

    losses: tuple[float, ...]
    is_whole: bool

    @property
    def mean_loss(self) -> float:
        """Over the steps; NaN before the first."""
        return math.fsum(self.losses) / len(self.losses) if self.losses else math.nan

    @property
    def first_broken(self) -> int | None:
        """The first step, counted from 1, whose loss is no finite number."""
        (broken,) = np.nonzero(~np.isfinite(self.losses))
        return int(broken[0]) + 1 if broken.size else None


def learn(
    learner: Learner,
    batches: Batches,
    *,
    epoch: int,
    multiplier: Callable[[int], float],
    listen: Listener,
    should_stop: Callable[[], bool],
) -> Learnt:
    """Do the steps of an epoch; end early when asked to, or once a loss is no finite number.

    ``multiplier`` gives the learning rate's, for a step counted from 1. Reading losses waits for
    the device, so it is done by the clock; what is learnt does not depend on when.
    """
    began = drained = time.perf_counter()
    losses: list[float] = []
    images = 0

    def drain() -> bool:
        """Read the new losses and tell them; whether all of them are finite."""
        new = [float(loss) for loss in learner.drain_losses()]
        losses.extend(new)
        if not all(map(math.isfinite, new)):
            return False
        if new:
            seconds = time.perf_counter() - began
            listen(
                StepsDone(
                    epoch=epoch,
                    step=len(losses),
                    loss=math.fsum(losses) / len(losses),
                    images_per_second=images / seconds,
                )
            )
        return True

    for step, batch in enumerate(batches.epoch(epoch), start=1):
        if should_stop():
            drain()
            return Learnt(tuple(losses), is_whole=False)
        learner.step(batch.images, batch.labels, rate=multiplier(step))
        images += len(batch.images)
        if time.perf_counter() - drained > DRAIN_SECONDS:
            if not drain():
                return Learnt(tuple(losses), is_whole=False)
            drained = time.perf_counter()
    drain()
    return Learnt(tuple(losses), is_whole=True)

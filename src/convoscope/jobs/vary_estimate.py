"""About how long trainings take, before the first one: arithmetic and the machine's own speed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from convoscope.architecture.analysis import analyse
from convoscope.jobs.vary_resolve import Resolved
from convoscope.jobs.vary_room import Room

_SIDE = 512
_ROUNDS = 5
_OPERATIONS_PER_MAC = 6  # forward, and twice as much backward, two operations each
_SHARE_OF_SPEED = 0.35  # of a matrix product's speed, measured on small networks
_STEP_SECONDS = 0.002
_START_SECONDS = 4.0


def estimated_seconds(
    variants: Sequence[Resolved], *, images: int, seeds: int, room: Room
) -> float:
    """A guess for all trainings together, should none of them stop early; right within a few times.

    ``images`` are those that are learnt from in an epoch.
    """
    speed = _SHARE_OF_SPEED * _operations_per_second() * room.threads
    total = 0.0
    for variant in variants:
        epochs, batch = variant.request.epochs, variant.request.batch
        work = analyse(variant.architecture).macs * _OPERATIONS_PER_MAC * images
        steps = -(-images // batch)
        total += _START_SECONDS + epochs * (work / speed + steps * _STEP_SECONDS)
    return total * seeds / room.jobs


def _operations_per_second() -> float:
    """Floating-point operations a second of a matrix product on one thread, the best of a few."""
    from threadpoolctl import threadpool_limits

    square = np.ones((_SIDE, _SIDE), np.float32)
    best = float("inf")
    with threadpool_limits(1):
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            square @ square
            best = min(best, time.perf_counter() - began)
    return float(2 * _SIDE**3 / best)

"""About how long trainings take: a few steps of the first one measured, and arithmetic.

Early stopping is not foreseen, so that it is what they take at most, as far as the machine stays as
busy as it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np

from convoscope import engines
from convoscope.architecture.analysis import analyse
from convoscope.arrays import generator
from convoscope.engines.devices import device_kind
from convoscope.jobs.vary_resolve import Resolved
from convoscope.jobs.vary_room import Room
from convoscope.network import HeadLoss, Optimiser

_PASSES = 3  # forward, and twice as much backward; an image that is only looked at takes one
_STEP_SECONDS = 0.002  # of a step, however small the network
_START_SECONDS = 4.0  # a process that loads its engine, and writes what came out
_TYPICAL_PACE = 2e-11  # seconds for a multiply-accumulate, where none are measured
_STEPS = 4
_PROBE_SECONDS = 2.0


def estimated_seconds(
    variants: Sequence[Resolved], *, learnt: int, validated: int, seeds: int, room: Room
) -> float | None:
    """For all trainings together, should none of them stop early; right within a few times.

    ``learnt`` images and ``validated`` ones are gone through in an epoch. ``None`` where it is not
    known beforehand: on other devices than the CPU, and where a frozen part is computed once.
    """
    first = variants[0]
    on_cpu = device_kind(first.request.engine, first.request.device) == "cpu"
    if not on_cpu or any(one.request.backbone is not None for one in variants):
        return None
    pace = _measured_pace(first, room.threads)
    each = [_seconds(one, learnt, validated, pace) for one in variants]
    return math.fsum(each) * seeds / room.jobs


def relative_costs(
    variants: Sequence[Resolved], *, learnt: int, validated: int
) -> Mapping[str, float]:
    """By a variant's name, how long one of its trainings takes against the others."""
    if any(one.request.backbone is not None for one in variants):
        return {one.planned.name: float(one.request.epochs) for one in variants}
    return {one.planned.name: _seconds(one, learnt, validated, _TYPICAL_PACE) for one in variants}


def seconds_left(costs: Sequence[float], done: Sequence[float], elapsed: float) -> float | None:
    """What is still to come, from what is done of each training and how long that took.

    ``done`` are shares from 0 to 1. ``None`` before anything is done.
    """
    whole = math.fsum(costs)
    behind = math.fsum(cost * share for cost, share in zip(costs, done, strict=True))
    return elapsed * (whole - behind) / behind if behind > 0 else None


def _seconds(variant: Resolved, learnt: int, validated: int, pace: float) -> float:
    """Of one training, with ``pace`` seconds for a multiply-accumulate."""
    request = variant.request
    passes = _PASSES * learnt + validated
    steps = -(-learnt // request.batch) * _STEP_SECONDS
    epoch = passes * analyse(variant.architecture).macs * pace + steps
    return _START_SECONDS + request.epochs * epoch


def _measured_pace(variant: Resolved, threads: int) -> float:
    """Seconds for a multiply-accumulate in the best of a few steps on random images."""
    from threadpoolctl import threadpool_limits

    architecture, request = variant.architecture, variant.request
    batch = max(2, request.batch)  # batch norm needs two
    with threadpool_limits(threads):
        network = engines.build(architecture, engine=request.engine, device=request.device)
        losses = [HeadLoss(head=head.name) for head in architecture.heads]
        learner = engines.learner(network, optimiser=Optimiser(kind="adam"), losses=losses)
        shape = (batch, *architecture.input_shape)
        images = generator(0, "pace").integers(0, 256, shape, np.uint8)
        labels = {head.name: np.zeros(batch, np.int64) for head in architecture.heads}
        best, began = math.inf, time.perf_counter()
        for _ in range(_STEPS):
            step_began = time.perf_counter()
            learner.step(images, labels)
            learner.drain_losses()
            best = min(best, time.perf_counter() - step_began)
            if time.perf_counter() - began > _PROBE_SECONDS:
                break
    work = _PASSES * analyse(architecture).macs * batch
    return max(best - _STEP_SECONDS, best / 10) / work

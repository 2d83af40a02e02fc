"""About how long a strategy takes before it is tried: a measured pass, and arithmetic.

A few images go through the network once; how much of that work each stage of a strategy does, and
how often, is counted. Early stopping is not foreseen, nor features that are there already, so that
an estimate is what it takes at most, as far as this machine stays as it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import numpy as np

from convoscope import engines
from convoscope.architecture.analysis import analyse
from convoscope.architecture.graph import Architecture, walk
from convoscope.arrays import generator
from convoscope.data.dataset import SplitName
from convoscope.data.preprocessing import Preprocessing
from convoscope.jobs.adapted import Adapted, Stage
from convoscope.jobs.request import TrainRequest

_PASSES = 3.0  # forward, and twice as much backward
_STEP_SECONDS = 0.003
_START_SECONDS = 6.0  # a process that loads PyTorch, and writes what came out
_SOLVING_SECONDS = 2e-6  # a number of an image, for all C that are tried
_IMAGES = 4
_ROUNDS = 2


def seconds_per_image(
    architecture: Architecture, preprocessing: Preprocessing, request: TrainRequest
) -> float:
    """Of one pass forward, the best of a few after a first one; weights do not matter."""
    network = engines.build(
        architecture,
        preprocessing=preprocessing,
        engine=request.engine,
        device=request.device,
        precision=request.precision,
        seed=0,
    )
    images = generator(0, "pace").random((_IMAGES, *architecture.input_shape), np.float32)
    network.logits(images[:1])
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        network.logits(images)
        best = min(best, time.perf_counter() - began)
    return best / _IMAGES


def scratch_seconds(
    request: TrainRequest, *, per_image: float, counts: Mapping[SplitName, int]
) -> float:
    """One training from scratch."""
    learnt = _PASSES * counts["train"] + counts["validation"]
    steps = -(-counts["train"] // request.batch) * _STEP_SECONDS
    return _START_SECONDS + request.epochs * (learnt * per_image + steps)


def tuned_seconds(
    adapted: Adapted, *, per_image: float, counts: Mapping[SplitName, int]
) -> tuple[float, float]:
    """Of one training of a pretrained network: for the features of its frozen parts, which are
    computed once for all seeds; and for all else.
    """
    whole = _work(adapted.architecture)
    images, request = sum(counts.values()), adapted.request
    features, rest = 0.0, _START_SECONDS
    for front in {id(s.front): s.front for s in adapted.stages if s.front is not None}.values():
        changed = (request.views - 1) * counts["train"]
        share = max(0.0, whole - _taught_work(adapted, front.layer)) / whole
        features += share * per_image * (images + changed)
    for stage in adapted.stages:
        rest += _stage_seconds(stage, adapted, per_image=per_image / whole, counts=counts)
    # What is said of every image in the end.
    return features, rest + images * per_image * _work(adapted.last.taught) / whole


def _stage_seconds(
    stage: Stage, adapted: Adapted, *, per_image: float, counts: Mapping[SplitName, int]
) -> float:
    """``per_image`` is for one multiply-accumulate."""
    if adapted.is_solved:
        return _solving_seconds(adapted, counts)
    epoch = _work(stage.taught) * per_image * (_PASSES * counts["train"] + counts["validation"])
    steps = -(-counts["train"] // adapted.request.batch) * _STEP_SECONDS
    return stage.epochs * (epoch + steps)


def _solving_seconds(adapted: Adapted, counts: Mapping[SplitName, int]) -> float:
    """It grows with all that is known of the images."""
    last = {head.layers[-1].name for head in adapted.architecture.heads if head.layers}
    numbers = sum(
        math.prod(place.input_shape)
        for place in walk(adapted.architecture)
        if place.layer.name in last
    )
    return _SOLVING_SECONDS * numbers * counts["train"]


def _taught_work(adapted: Adapted, layer: str) -> float:
    stage = next(s for s in adapted.stages if s.front is not None and s.front.layer == layer)
    return _work(stage.taught)


def _work(architecture: Architecture) -> float:
    """Multiply-accumulates per image."""
    return float(max(1, analyse(architecture).macs))

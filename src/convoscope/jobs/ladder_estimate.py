"""About how long a strategy takes before it is tried: a measured pass, and arithmetic.

A few images go through the network once; how much of that work each stage of a strategy does, and
how often, is counted. A head on a frozen part does hardly any: what it takes is to read the
features, number by number, once per pass. A support vector machine is solved for a few values of C,
which takes a time for each image, number of it and class; the harder the classes are to divide,
the longer. Early stopping is not foreseen, nor features that are there already, so that an estimate
is what it takes at most, as far as this machine stays as it is.

The constants were measured with SqueezeNet 1.0 on two cores, from its 86,528 features an image:
a head of batch norm, pooling and one dense layer took 0.09 to 0.16 s an epoch on 250 images of 5
classes and 0.15 to 0.23 s on 483 images of 10; the machine on its 512 pooled ones 0.2 s and 1.2 s,
and on all 86,528 of them 17 to 20 s and 222 s.
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
_READING_SECONDS = 1e-9  # a number of a feature in a pass
_SOLVING_SECONDS = 4e-7  # a number of an image for a class, for all C that are tried
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
    return features, rest + images * _pass_seconds(adapted.last, per_image / whole)


def _stage_seconds(
    stage: Stage, adapted: Adapted, *, per_image: float, counts: Mapping[SplitName, int]
) -> float:
    """``per_image`` is for one multiply-accumulate."""
    a_pass = _pass_seconds(stage, per_image)
    if adapted.is_solved:
        return sum(counts.values()) * a_pass + _solving_seconds(adapted, counts)
    epoch = a_pass * (_PASSES * counts["train"] + counts["validation"])
    steps = -(-counts["train"] // adapted.request.batch) * _STEP_SECONDS
    return stage.epochs * (epoch + steps)


def _pass_seconds(stage: Stage, per_image: float) -> float:
    """Of an image forward through what learns; ``per_image`` is for one multiply-accumulate."""
    read = 0.0 if stage.front is None else _READING_SECONDS * math.prod(stage.taught.input_shape)
    return _work(stage.taught) * per_image + read


def _solving_seconds(adapted: Adapted, counts: Mapping[SplitName, int]) -> float:
    """It grows with all that is known of the images, and with the machines."""
    last = {head.layers[-1].name for head in adapted.architecture.heads if head.layers}
    numbers = sum(
        math.prod(place.input_shape) * _machines(math.prod(place.output_shape))
        for place in walk(adapted.architecture)
        if place.layer.name in last
    )
    return _SOLVING_SECONDS * numbers * counts["train"]


def _machines(units: int) -> int:
    """One for each class against the rest, but a single one for two classes."""
    return units if units > 2 else 1


def _taught_work(adapted: Adapted, layer: str) -> float:
    stage = next(s for s in adapted.stages if s.front is not None and s.front.layer == layer)
    return _work(stage.taught)


def _work(architecture: Architecture) -> float:
    """Multiply-accumulates per image."""
    return float(max(1, analyse(architecture).macs))

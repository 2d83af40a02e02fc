"""What one engine says when it is shown a picture: outputs, gradients, a step, one cell.

Everything is asked through the waist, so that both engines answer the same questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from convoscope import engines
from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.lineage import sources
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.jobs.cell import Cell
from convoscope.jobs.definition import write_out
from convoscope.jobs.likeness import CellTwin, is_statistic, ratio
from convoscope.jobs.progress import Progress
from convoscope.network import (
    Channel,
    ClassLogit,
    Engine,
    HeadLoss,
    Network,
    Optimiser,
    Precision,
    Target,
    Trace,
)

IMAGES = "images"
_ENGINES: Mapping[Engine, str] = {"numpy": "NumPy", "torch": "PyTorch"}
# Huge, and a power of two: after a step of plain SGD the parameters are then their gradients but
# for a factor that costs no digit, and what they were before drowns.
_RATE = 2.0**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What both engines are asked.

    ``images`` (1, C, H, W) are what layers and the cell are computed for, ``untied`` those for
    which gradients are; ``targets`` a class per head.
    """

    architecture: Architecture
    preprocessing: Preprocessing
    parameters: Mapping[str, FloatArray] | None
    seed: int
    precision: Precision
    images: Array
    untied: Array
    with_gradients: bool
    targets: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What an engine said, per layer (C, h, w) or (K,), and per parameter its gradient."""

    activations: Mapping[str, FloatArray]
    gradients: Mapping[str, FloatArray]
    parameters: Mapping[str, FloatArray]


def ask(
    engine: Engine, question: Question, cell: Cell | None, progress: Progress
) -> tuple[Answer, Mapping[str, int], CellTwin | None]:
    """What an engine says, the classes it was asked about, and the cell written out."""
    network = engines.build(
        question.architecture,
        preprocessing=question.preprocessing,
        engine=engine,
        seed=question.seed,
        parameters=question.parameters,
        device="cpu",
        precision=question.precision,
    )
    gradients: dict[str, FloatArray] = {}
    with network.trace(question.images, layers=network.layer_names) as trace:
        activations = {name: maps[0] for name, maps in trace.activations.items()}
        targets = question.targets or _likeliest(trace)
    if question.with_gradients:
        told = partial(progress, f"gradients of {_ENGINES[engine]}")
        gradients = _gradients(network, question, targets, told)
    written = None if cell is None else _cell(cell, question, network, activations)
    steps = _step(network, question, targets) if question.with_gradients else {}
    return Answer(activations=activations, gradients=gradients, parameters=steps), targets, written


def _likeliest(trace: Trace) -> dict[str, int]:
    """The most probable class of each head; of two classes with one logit its sign says it."""
    return {
        name: int(values[0].argmax()) if values.shape[1] > 1 else int(values[0, 0] > 0)
        for name, values in trace.logits.items()
    }


def _gradients(
    network: Network,
    question: Question,
    targets: Mapping[str, int],
    progress: Callable[[int, int], None],
) -> dict[str, FloatArray]:
    """Of a head's class with respect to the image and every layer; the trunk's of the first head.

    Without a head, of the mean of the last layer's first map.
    """
    heads: dict[str | None, Target] = {
        head: ClassLogit(head, class_index) for head, class_index in targets.items()
    }
    heads[None] = next(iter(heads.values()), Channel(network.layer_names[-1], 0))
    places = list(walk(question.architecture))
    with network.trace(question.untied, layers=network.layer_names) as trace:
        found = {IMAGES: trace.gradient([heads[None]], wrt=IMAGES)[0, 0]}
        for done, place in enumerate(places, start=1):
            name = place.layer.name
            found[name] = trace.gradient([heads[place.head]], wrt=name)[0, 0]
            progress(done, len(places))
    return found


def _step(
    network: Network, question: Question, targets: Mapping[str, int]
) -> dict[str, FloatArray]:
    """Each parameter's gradient, and each running statistic after the step.

    Batch norm needs more than one image: the picture and its three mirror images. The step is
    so large that the parameters after it are their gradients.
    """
    if not targets or not network.parameters():
        return {}
    losses = [HeadLoss(head=head) for head in targets]
    learner = engines.learner(
        network, optimiser=Optimiser(kind="sgd", learning_rate=_RATE), losses=losses, seed=0
    )
    one = question.untied
    batch = np.concatenate([one, one[..., ::-1], one[..., ::-1, :], one[..., ::-1, ::-1]])
    learner.step(batch, {head: np.full(4, k, dtype=np.int64) for head, k in targets.items()})
    before, after = network.parameters(), learner.network.parameters()
    return {
        name: after[name] if is_statistic(name) else (values - after[name]) / _RATE
        for name, values in before.items()
    }


def _cell(
    cell: Cell, question: Question, network: Network, activations: Mapping[str, FloatArray]
) -> CellTwin:
    """The cell's arithmetic, from what the NumPy engine gave the layer."""
    source = sources(question.architecture)[cell.layer]
    given = _network_input(question) if source is None else activations[source]
    place = question.architecture.place(cell.layer)
    arithmetic = write_out(cell, place, given, network.parameters())
    empty = CellTwin(arithmetic=arithmetic, engines={}, relative={})
    return beside(empty, "numpy", value_at(activations[cell.layer], cell))


def beside(twin: CellTwin, engine: Engine, value: float) -> CellTwin:
    """The cell with an engine's value of it."""
    distance = abs(value - twin.arithmetic.output)
    name = _ENGINES[engine]
    return replace(
        twin,
        engines={**twin.engines, name: value},
        relative={**twin.relative, name: ratio(distance, twin.arithmetic.scale)},
    )


def value_at(maps: FloatArray, cell: Cell) -> float:
    """The number in a layer's output (C, h, w) or (K,) that the cell names."""
    if maps.ndim == 1:
        return float(maps[cell.filter])
    return float(maps[cell.filter, cell.row, cell.column])


def _network_input(question: Question) -> FloatArray:
    """What the first layer is given, (C, H, W): ``(v - mean) / sd`` in the network's order."""
    pixels = question.images[0].astype(np.float64)
    if question.images.dtype == np.uint8:
        pixels = pixels / 255
    preprocessing = question.preprocessing
    if preprocessing.order == "bgr":
        pixels = pixels[::-1]
    mean, sd = (
        np.array(values)[:, None, None] for values in (preprocessing.mean, preprocessing.sd)
    )
    standardised: FloatArray = (pixels - mean) / sd
    return standardised

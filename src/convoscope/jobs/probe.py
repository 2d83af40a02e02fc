"""Probe images: what the network makes of the same few images after every epoch of training.

One trace per epoch of all of them together gives the probabilities, the maps and Grad-CAM. An
epoch is written before its checkpoint: a run that is stopped in between does it again, and writes
the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.errors import ExplainError, SettingsError
from convoscope.explain import View, heat_maps, look, map_layers, target_layer
from convoscope.explain.filters import convolutions
from convoscope.jobs.predictions import label
from convoscope.jobs.prepare import Prepared
from convoscope.network import ClassLogit, Learner, Network
from convoscope.pictures.thumbnails import shrink
from convoscope.runs import Run
from convoscope.runs.probed import (
    ProbedEpoch,
    ProbedLayer,
    ProbePlan,
    begin_probe,
    keep_epoch,
    keep_only,
    kept_epochs,
)
from convoscope.training.checkpoint import Checkpoint
from convoscope.training.loop import Parameters
from convoscope.training.phases import Phase

Keep: TypeAlias = Callable[[Checkpoint], object]

CHANNELS, FILTERS = 6, 16
"""So many maps of a layer, and filters of the first, are kept, spread evenly over all."""

_IMAGE_SIDE, _MAP_SIDE = 64, 20
_LAYERS: Final = 3


class Probe:
    """Looks at a run's probe images while its network learns."""

    def __init__(self, run: Run, prepared: Prepared, network: Network) -> None:
        self._run = run
        self._learner: Learner | None = None
        rows = probe_rows(prepared)
        self._plan = _plan(prepared, network, rows)
        self._images = np.ascontiguousarray(prepared.decoded.images[rows].transpose(0, 3, 1, 2))

    def follow(self, phase: Phase) -> Phase:
        """The phase, with its learner remembered when it begins."""

        def learner(best: Parameters | None) -> Learner:
            self._learner = phase.learner(best)
            return self._learner

        return replace(phase, learner=learner)

    def begin(self, network: Network, start: Checkpoint | None) -> None:
        """Look before the first epoch, or forget what came after the checkpoint to go on from."""
        if start is not None:
            keep_only(self._run.path, kept_epochs(start.epoch))
            return
        begin_probe(
            self._run.path,
            self._plan,
            shrink(np.ascontiguousarray(self._images.transpose(0, 2, 3, 1)), longest=_IMAGE_SIDE),
        )
        self._keep(network, 0)

    def before(self, keep: Keep) -> Keep:
        """What looks at the images, then writes the checkpoint."""

        def looking(checkpoint: Checkpoint) -> object:
            assert self._learner is not None, "a checkpoint is a learner's"
            self._keep(self._learner.network, checkpoint.epoch)
            return keep(checkpoint)

        return looking

    def _keep(self, network: Network, epoch: int) -> None:
        keep_epoch(self._run.path, probed(network, self._images, self._plan, epoch))


def check_probed(prepared: Prepared, network: Network) -> None:
    """Refuse probe images where the network that learns does not see images.

    Raises:
        SettingsError: says why it does not, and what to do.
    """
    count, adapted = prepared.request.probe, prepared.adapted
    if not count:
        return
    if adapted is not None and (adapted.is_solved or any(s.front for s in adapted.stages)):
        raise SettingsError(
            f"--probe {count}: a network that sees the images in every epoch is looked into, and "
            f"what learns here sees features that the frozen part of {prepared.request.network} "
            "gave once: leave --probe out, or let the whole network learn with --tune all"
        )
    try:
        target_layer(network)
    except ExplainError as error:
        raise SettingsError(f"--probe {count}: {error}, or leave --probe out") from error


def probe_rows(prepared: Prepared) -> IntArray:
    """The rows of the probe images: of validation, or where there is none of training, as many of
    each class as can be, drawn with the run's seed; never test images.
    """
    indices = prepared.splits.indices
    rows = indices["validation" if len(indices.get("validation", ())) else "train"]
    head = next(iter(prepared.dataset.class_names))
    labels = prepared.dataset.labels[head][rows]
    classes = np.unique(labels[labels >= 0])
    count = prepared.request.probe
    classes = classes[
        np.linspace(0, len(classes) - 1, min(count, len(classes))).round().astype(int)
    ]
    rng = generator(prepared.request.seed, "probe")
    of_class = [rng.permutation(rows[labels == one]) for one in classes]
    rounds = [(turn, place) for place, of in enumerate(of_class) for turn in range(len(of))]
    chosen = sorted(sorted(rounds)[:count], key=lambda pair: pair[::-1])
    return np.array([of_class[place][turn] for turn, place in chosen], np.int64)


def probed(network: Network, images: Array, plan: ProbePlan, epoch: int) -> ProbedEpoch:
    """What the network makes of the images (N, C, H, W), from one trace of all of them."""
    heat = plan.heat_layer
    target = ClassLogit(plan.head, plan.labels)
    layers = tuple(dict.fromkeys([*(layer.name for layer in plan.layers), heat]))
    with look(network, images, targets=[target], layers=layers, wrt=[heat]) as view:
        return ProbedEpoch(
            epoch=epoch,
            probabilities=_probabilities(view, plan),
            heat=heat_maps(view, [target], heat)[0],
            maps={
                layer.name: _small(view.trace.activations[layer.name][:, list(layer.channels)])
                for layer in plan.layers
            },
            filters=convolutions(network)[plan.filter_layer][list(plan.filters)]
            if plan.filter_layer
            else np.zeros((0, 1, 1, 1)),
        )


def _plan(prepared: Prepared, network: Network, rows: IntArray) -> ProbePlan:
    dataset = prepared.dataset
    head = next(iter(dataset.class_names))
    kernels, maps = convolutions(network), map_layers(network)
    heat = target_layer(network)
    found = [name for name in kernels if name in maps] or [heat]
    places = np.linspace(0, len(found) - 1, min(_LAYERS, len(found))).round().astype(int)
    first = next(iter(kernels), "")
    return ProbePlan(
        split="validation" if len(prepared.splits.indices.get("validation", ())) else "train",
        head=head,
        class_names=tuple(dataset.class_names[head]),
        ids=tuple(dataset.ids[row] for row in rows),
        labels=tuple(int(dataset.labels[head][row]) for row in rows),
        heat_layer=heat,
        layers=tuple(
            ProbedLayer(name=name, channels=_spread(network.layer_shapes[name][0], CHANNELS))
            for name in (found[place] for place in places)
        ),
        filter_layer=first,
        filters=_spread(len(kernels[first]), FILTERS) if first else (),
    )


def _spread(total: int, most: int) -> tuple[int, ...]:
    """At most so many of the numbers below ``total``, spread evenly."""
    return tuple(int(n) for n in np.linspace(0, total - 1, min(most, total)).round())


def _small(maps: FloatArray) -> FloatArray:
    """Maps (N, M, h, w) of at most 20 cells a side, each the mean of those that it stands for."""
    for axis in (2, 3):
        cells = maps.shape[axis]
        if cells > _MAP_SIDE:
            edges = np.linspace(0, cells, _MAP_SIDE + 1).round().astype(int)
            sums = np.add.reduceat(maps, edges[:-1], axis=axis)
            shape = [1, 1, 1, 1]
            shape[axis] = _MAP_SIDE
            maps = sums / np.diff(edges).reshape(shape)
    return maps


def _probabilities(view: View, plan: ProbePlan) -> FloatArray:
    """What the network says of each class of the head, (N, K)."""
    said = label(
        {plan.head: view.trace.logits[plan.head]},
        view.network.architecture,
        split=plan.split,
        ids=plan.ids,
        labels={plan.head: np.array(plan.labels, np.int64)},
        class_names={plan.head: plan.class_names},
    )
    return said.heads[plan.head].probabilities()

"""Statements about a run's network, measured on the images that it was tested on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from convoscope.architecture.receptive_field import receptive_field
from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.errors import SettingsError
from convoscope.explain.filters import convolutions
from convoscope.explain.scores.baselines import CHANCE
from convoscope.explain.statements import (
    Statement,
    neighbour_similarities,
    on_the_thing,
    oriented_filters,
    separable,
    shift_similarities,
    shift_tolerant,
)
from convoscope.jobs.explain_images import images_of_run
from convoscope.jobs.explain_subject import subject_of
from convoscope.jobs.progress import Progress, unwatched
from convoscope.metrics.predictions import Predictions
from convoscope.network import Engine, Network
from convoscope.runs import Run
from convoscope.runs.explanation_scores import read_scores

IMAGES: Final = 200
"""At most so many images are measured on, as many of each class as can be."""

SHIFTED: Final = 64
"""At most so many of them are moved too."""

DISTANCES: Final = (1, 2, 4, 8)
"""By so many pixels, as far as half an image goes."""

_LAYERS, _BATCH = 8, 16


def statements_of(
    run: Run | str | Path,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> tuple[Statement, ...]:
    """What can be said of a run's network: of its first filters, and of layers spread over it how
    well they tell the classes of its first head apart, and how much of them survives a shift.

    Raises:
        DataError: if the images are no longer where they were, or no longer the same.
        RunError: if the run has no network, or no predictions.
    """
    subject = subject_of(run, engine=engine, device=device)
    assert subject.run is not None, "a run was named"
    network, splits = subject.network, subject.run.splits()
    said = subject.run.predictions("test" if "test" in splits else splits[-1] if splits else "test")
    chosen = _chosen(said, subject.run.record().seed)
    ids = [said.ids[row] for row in chosen]
    images = images_of_run(subject.run, said, ids, network.preprocessing)
    pixels = np.stack([image.pixels() for image in images]).transpose(0, 3, 1, 2)
    labels = next(iter(said.heads.values())).labels[chosen]
    return (*_of_filters(network), *_of_layers(network, pixels, labels, progress))


def of_scores(folder: Path) -> tuple[Statement, ...]:
    """Of each method that was scored with marked things, how much of it lies on them; chance is
    that of a picture made of noise. None where nothing was scored or marked.

    Raises:
        RunError: if the scores are not whole.
    """
    scores = read_scores(folder)
    images = (
        [] if scores is None else [i for i in scores.images if i.methods[CHANCE].mass is not None]
    )
    if scores is None or not images:
        return ()

    def masses(name: str) -> FloatArray:
        found = (image.methods[name].mass for image in images)
        return np.array([np.nan if mass is None else mass for mass in found])

    return tuple(
        on_the_thing(scores.titles[name], masses(name), masses(CHANCE)) for name in scores.methods
    )


def check_stated(run: Path | None) -> None:
    """Refuse statements about a network that has no images of its own.

    Raises:
        SettingsError: says what to name.
    """
    if run is None:
        raise SettingsError(
            "--statements: a network is measured on the images that its run was tested on, got "
            "--backbone, which has none: name a run, as in  convoscope explain RUN --statements"
        )


def _of_filters(network: Network) -> list[Statement]:
    """Of the first convolution, where its filters are large enough to have a direction."""
    layer, filters = next(iter(convolutions(network).items()), ("", np.zeros((0, 1, 1, 1))))
    return [oriented_filters(layer, filters)] if min(filters.shape[2:]) > 1 else []


def _of_layers(
    network: Network, images: Array, labels: IntArray, progress: Progress
) -> list[Statement]:
    layers = _layers(network)
    features: dict[str, list[FloatArray]] = {layer: [] for layer in layers}
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        with network.trace(batch, layers=layers, wrt=()) as trace:
            for layer in layers:
                found = trace.activations[layer]
                features[layer].append(found.reshape(*found.shape[:2], -1).mean(axis=2))
        progress("measuring layers", min(start + _BATCH, len(images)), len(images))
    apart = [separable(name, np.concatenate(found), labels) for name, found in features.items()]
    return [*apart, *_of_shifts(network, images, layers, progress)]


def _of_shifts(
    network: Network, images: Array, layers: Sequence[str], progress: Progress
) -> list[Statement]:
    """Of a few of the images: every distance asks for four more passes."""
    few = images[np.linspace(0, len(images) - 1, min(SHIFTED, len(images))).round().astype(int)]
    side = min(images.shape[2:])
    distances = [pixels for pixels in DISTANCES if 2 * pixels <= side] or [1]
    alike: dict[str, list[FloatArray]] = {layer: [] for layer in layers}
    others: dict[str, list[FloatArray]] = {layer: [] for layer in layers}
    for start in range(0, len(few), _BATCH):
        batch = few[start : start + _BATCH]
        for layer, values in shift_similarities(network, batch, layers, distances).items():
            alike[layer].append(values)
        for layer, values in neighbour_similarities(network, batch, layers).items():
            others[layer].append(values)
        progress("moving images", min(start + _BATCH, len(few)), len(few))
    steps = _steps(network)
    return [
        shift_tolerant(
            name,
            np.concatenate(found, axis=1),
            distances,
            others=float(np.concatenate(others[name]).mean()),
            step=steps.get(name),
        )
        for name, found in alike.items()
    ]


def _steps(network: Network) -> dict[str, int]:
    """How many pixels lie between two cells of each layer that has cells."""
    fields = receptive_field(network.architecture)
    shapes = network.layer_shapes
    return {
        name: max(field.jump)
        for name, field in fields.items()
        if name in shapes and len(shapes[name]) == 3 and field.jump is not None
    }


def _layers(network: Network) -> tuple[str, ...]:
    """Layers spread evenly from the first to the last."""
    names = tuple(network.layer_shapes)
    places = np.linspace(0, len(names) - 1, min(_LAYERS, len(names))).round().astype(int)
    return tuple(names[place] for place in places)


def _chosen(said: Predictions, seed: int) -> IntArray:
    """Rows of labelled images, the classes of the first head in turn, drawn with the seed."""
    labels = next(iter(said.heads.values())).labels
    rows = generator(seed, "statements").permutation(np.flatnonzero(labels >= 0))
    turns = np.zeros(len(rows), np.int64)
    for one in np.unique(labels[rows]):
        mine = labels[rows] == one
        turns[mine] = np.arange(mine.sum())
    chosen: IntArray = np.sort(rows[np.argsort(turns, kind="stable")[:IMAGES]])
    return chosen

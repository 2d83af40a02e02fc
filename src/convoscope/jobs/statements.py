"""Statements about a run's network, measured on the images that it was tested on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.errors import SettingsError
from convoscope.explain.filters import convolutions
from convoscope.explain.scores.baselines import CHANCE
from convoscope.explain.statements import (
    Statement,
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

_LAYERS, _PIXELS, _BATCH = 8, 3, 16


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
    alike: dict[str, list[FloatArray]] = {layer: [] for layer in layers}
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        with network.trace(batch, layers=layers, wrt=()) as trace:
            for layer in layers:
                found = trace.activations[layer]
                features[layer].append(found.reshape(*found.shape[:2], -1).mean(axis=2))
        for layer, values in shift_similarities(network, batch, layers, _PIXELS).items():
            alike[layer].append(values)
        progress("measuring", min(start + _BATCH, len(images)), len(images))
    apart = [separable(name, np.concatenate(found), labels) for name, found in features.items()]
    moved = [shift_tolerant(name, np.concatenate(s), _PIXELS) for name, s in alike.items()]
    return [*apart, *moved]


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

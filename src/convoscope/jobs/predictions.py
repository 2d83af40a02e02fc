"""What a network says of images, in batches, as predictions that can be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from convoscope.architecture.graph import Architecture
from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.data.dataset import Dataset
from convoscope.jobs.progress import Progress, unwatched
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.network import Network


def logits_of(
    network: Network,
    images: Array,
    indices: IntArray | None = None,
    *,
    batch_size: int = 64,
    progress: Progress = unwatched,
) -> dict[str, FloatArray]:
    """Per head the logits (M, K) of ``images[indices]``; images are (N, H, W, C) uint8, or for a
    network that is the tail of another its features.

    The batches are the same whoever asks, so that the same images give the same bytes.
    """
    chosen = np.arange(len(images)) if indices is None else indices
    parts: dict[str, list[FloatArray]] = {}
    for start in range(0, len(chosen), batch_size):
        batch = images[chosen[start : start + batch_size]].transpose(0, 3, 1, 2)
        for head, logits in network.logits(batch).items():
            parts.setdefault(head, []).append(logits)
        progress("predicting", min(start + batch_size, len(chosen)), len(chosen))
    return {head: np.concatenate(found) for head, found in parts.items()}


def predictions_of(
    network: Network,
    images: Array,
    dataset: Dataset,
    indices: IntArray,
    *,
    split: str,
    groups: Sequence[str] | None = None,
    batch_size: int = 64,
    progress: Progress = unwatched,
) -> Predictions:
    """What the network says of those images of the data set, with their labels.

    ``groups`` names for every image of the data set what it belongs to, as in
    :func:`convoscope.data.copies.belonging`.
    """
    found = logits_of(network, images, indices, batch_size=batch_size, progress=progress)
    return label(
        found,
        network.architecture,
        split=split,
        ids=[dataset.ids[index] for index in indices],
        labels={head: dataset.labels[head][indices] for head in found},
        class_names=dataset.class_names,
        groups=None if groups is None else [groups[index] for index in indices],
    )


def label(
    logits: Mapping[str, FloatArray],
    architecture: Architecture,
    *,
    split: str,
    ids: Sequence[str],
    labels: Mapping[str, IntArray],
    class_names: Mapping[str, Sequence[str]],
    groups: Sequence[str] | None = None,
) -> Predictions:
    """Logits per head with the labels, names and kind of output that belong to them.

    ``groups`` (N,) are kept if two of these images belong together.
    """
    is_shared = groups is not None and len(set(groups)) < len(groups)
    return Predictions(
        split=split,
        ids=tuple(ids),
        heads={
            head: HeadPredictions(
                class_names=tuple(class_names[head]),
                labels=labels[head],
                logits=found,
                output=architecture.head(head).output,
                threshold=architecture.head(head).threshold,
            )
            for head, found in logits.items()
        },
        groups=tuple(groups) if groups is not None and is_shared else None,
    )

"""Test a trained run again: on its own split, from the files, or on other labelled images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from convoscope.arrays import IntArray
from convoscope.data.cache import decode
from convoscope.data.dataset import SPLIT_NAMES, Dataset
from convoscope.data.sources import open_dataset
from convoscope.data.splits import read_splits
from convoscope.errors import DataError, RunError, placed, unknown_name
from convoscope.jobs.predictions import label, logits_of, predictions_of
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.settings import asked_request
from convoscope.jobs.trained import class_names, trained_network
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.summary import SplitMetrics, summarise
from convoscope.network import Engine, Network
from convoscope.runs import Run, open_run


def evaluate(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    skip_unreadable: bool = False,
    progress: Progress = unwatched,
) -> dict[str, SplitMetrics]:
    """The metrics of each split, from predictions that are made anew and saved in the run.

    Without ``data`` the run's own splits, decoded again from the files it was trained on, which
    must still be the same. With ``data`` all its images, saved under its name; its classes are
    matched by name.

    Raises:
        RunError: if the run has no trained model, or its images have changed.
        DataError: if ``data`` has a class that the run does not know.
    """
    opened = run if isinstance(run, Run) else open_run(run)
    network = trained_network(opened, engine=engine, device=device)
    if data is None:
        said = _own_splits(opened, network, progress)
    else:
        said = [_other_data(opened, network, str(data), skip_unreadable, progress)]
    for predictions in said:
        opened.write_predictions(predictions)
    return {predictions.split: summarise(predictions) for predictions in said}


def _own_splits(run: Run, network: Network, progress: Progress) -> list[Predictions]:
    record = run.record()
    asked = asked_request(run.path, record.settings)
    decoded = decode(
        open_dataset(asked.data),
        preprocessing=network.preprocessing,
        skip_unreadable=asked.skip_unreadable,
        progress=lambda done, total: progress("decoding", done, total),
    )
    if decoded.fingerprint != record.data.get("fingerprint"):
        raise RunError(
            f"{run.path}: testing on its own split needs the images it was trained on, those in "
            f"{asked.data} have changed since: put them back, or name other data"
        )
    splits = read_splits(run.split_file, decoded.dataset)
    return [
        predictions_of(
            network,
            decoded.images,
            decoded.dataset,
            indices,
            split=split,
            batch_size=asked.batch,
            progress=progress,
        )
        for split, indices in splits.indices.items()
        if len(indices)
    ]


def _other_data(
    run: Run, network: Network, data: str, skip_unreadable: bool, progress: Progress
) -> Predictions:
    decoded = decode(
        open_dataset(data),
        preprocessing=network.preprocessing,
        skip_unreadable=skip_unreadable,
        progress=lambda done, total: progress("decoding", done, total),
    )
    names = class_names(run)
    with placed(data):
        labels = matched_labels(decoded.dataset, names)
    return label(
        logits_of(network, decoded.images, progress=progress),
        network.architecture,
        split=split_name(decoded.dataset.name),
        ids=decoded.dataset.ids,
        labels=labels,
        class_names=names,
    )


def matched_labels(
    dataset: Dataset, class_names: Mapping[str, tuple[str, ...]]
) -> dict[str, IntArray]:
    """Per head of the network the data's labels (N,) in the network's order of classes.

    A head that the data does not label gets -1 throughout.

    Raises:
        UnknownNameError: if the data has a class that the network does not tell apart.
        DataError: if the data labels none of the network's heads.
    """
    if not set(class_names) & set(dataset.labels):
        raise DataError(
            f"the data must label one of the run's heads ({', '.join(class_names)}), it labels "
            f"{', '.join(dataset.labels) or 'none'}: name other data"
        )
    return {
        head: _in_order(dataset.labels[head], dataset.class_names[head], names)
        if head in dataset.labels
        else np.full(len(dataset), -1, dtype=np.int64)
        for head, names in class_names.items()
    }


def split_name(data: str) -> str:
    """A file name for predictions on that data, never that of a split of training."""
    word = re.sub(r"[^\w.-]+", "-", data).strip("-.") or "data"
    return f"data-{word}" if word in SPLIT_NAMES else word


def _in_order(labels: IntArray, theirs: tuple[str, ...], ours: tuple[str, ...]) -> IntArray:
    for name in theirs:
        if name not in ours:
            raise unknown_name("class of this run", name, ours)
    position = np.array([ours.index(name) for name in theirs], dtype=np.int64)
    return np.where(labels >= 0, position[np.maximum(labels, 0)], -1)

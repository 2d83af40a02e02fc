"""Test a trained run again: on its own split, from the files, or on other labelled images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np

from convoscope.arrays import IntArray
from convoscope.data.cache import Decoded, decode
from convoscope.data.copies import belonging
from convoscope.data.dataset import SPLIT_NAMES, Dataset
from convoscope.data.sources import open_dataset
from convoscope.data.splits import read_splits
from convoscope.errors import DataError, RunError, SettingsError, placed, unknown_name
from convoscope.jobs.predictions import label, logits_of, predictions_of
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.seen import taught_by
from convoscope.jobs.settings import asked_request
from convoscope.jobs.shown import thumbnails_of
from convoscope.jobs.source import ReadingOptions, asked_dataset, reading
from convoscope.jobs.trained import class_names, trained_network
from convoscope.metrics.mistakes import picture_name, pictures_needed, pictures_of_mistakes
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
    **options: Unpack[ReadingOptions],
) -> dict[str, SplitMetrics]:
    """The metrics of each split, from predictions that are made anew and saved in the run.

    Without ``data`` the run's own splits, decoded again from the files it was trained on, which
    must still be the same. With ``data`` all its images, saved under its name; its classes are
    matched by name. ``options`` say how that data is read, as they do when training; none are
    taken over from the run. Where the network has learnt from some of them the run notes it.

    Raises:
        RunError: if the run has no trained model, or its images have changed.
        DataError: if ``data`` has a class that the run does not know.
        SettingsError: if there are options for data that is not named, or not of their kind.
    """
    opened = open_run(run)
    network = trained_network(opened, engine=engine, device=device)
    if data is None:
        _check_unread(options)
        tested = _own_splits(opened, network, progress)
    else:
        dataset = _read(str(data), options, class_names(opened))
        tested = _other_data(opened, network, dataset, str(data), skip_unreadable, progress)
    for predictions in tested.said:
        opened.write_predictions(predictions)
    _keep_pictures(opened, tested)
    if tested.notes:
        notes = dict.fromkeys((*opened.record().notes, *tested.notes))
        opened.update_record(notes=tuple(notes))
    return {predictions.split: summarise(predictions) for predictions in tested.said}


@dataclass(frozen=True, slots=True, eq=False)
class _Tested:
    """Predictions, and the images that they are about; ``is_own`` for those of the run itself."""

    said: tuple[Predictions, ...]
    decoded: Decoded
    is_own: bool
    notes: tuple[str, ...] = ()


def _own_splits(run: Run, network: Network, progress: Progress) -> _Tested:
    record = run.record()
    asked = asked_request(run.path, record.settings)
    decoded = _decoded(asked_dataset(asked), network, asked.skip_unreadable, progress)
    if decoded.fingerprint != record.data.get("fingerprint"):
        raise RunError(
            f"{run.path}: testing on its own split needs the images it was trained on, those in "
            f"{asked.data} have changed since: put them back, or name other data"
        )
    splits = read_splits(run.split_file, decoded.dataset)
    groups = belonging(decoded)
    said = [
        predictions_of(
            network,
            decoded.images,
            decoded.dataset,
            indices,
            split=split,
            groups=groups,
            batch_size=asked.batch,
            progress=progress,
        )
        for split, indices in splits.indices.items()
        if len(indices)
    ]
    return _Tested(tuple(said), decoded, is_own=True)


def _other_data(
    run: Run,
    network: Network,
    dataset: Dataset,
    where: str,
    skip_unreadable: bool,
    progress: Progress,
) -> _Tested:
    decoded = _decoded(dataset, network, skip_unreadable, progress)
    names = class_names(run)
    with placed(where):
        labels = matched_labels(decoded.dataset, names)
    said = label(
        logits_of(network, decoded.images, progress=progress),
        network.architecture,
        split=split_name(decoded.dataset.name),
        ids=decoded.dataset.ids,
        labels=labels,
        class_names=names,
        groups=belonging(decoded),
    )
    return _Tested((said,), decoded, is_own=False, notes=tuple(_leaks(run, said, decoded)))


def _leaks(run: Run, said: Predictions, decoded: Decoded) -> Iterator[str]:
    seen = taught_by(run, decoded)
    if seen:
        yield (
            f"{said.split}: the network has learnt from {len(seen):,} of these {len(said.ids):,} "
            f"images, such as {seen[0]}: their figures are too good"
        )


def _decoded(
    dataset: Dataset, network: Network, skip_unreadable: bool, progress: Progress
) -> Decoded:
    return decode(
        dataset,
        preprocessing=network.preprocessing,
        skip_unreadable=skip_unreadable,
        progress=lambda done, total: progress("decoding", done, total),
    )


def _keep_pictures(run: Run, tested: _Tested) -> None:
    """Add the pictures that the report shows of these predictions to those that the run has."""
    if tested.is_own:
        shown = {name: name for name in pictures_needed(tested.said)}
    else:
        (said,) = tested.said
        shown = {picture_name(said.split, name): name for name in pictures_of_mistakes(said)}
    pictures = thumbnails_of(tested.decoded, shown.values())
    kept = run.samples() | dict(zip(shown, pictures, strict=True))
    if kept:
        run.write_samples(list(kept), np.stack(list(kept.values())))


def _check_unread(options: ReadingOptions) -> None:
    """Refuse options on how to read data that is not named."""
    said = [name for name, value in options.items() if value]
    if said:
        raise SettingsError(
            f"--{said[0].replace('_', '-')} says how DATA is read, but none is named, and the "
            "run's own data is read as it was for training: name DATA, or leave the option out"
        )


def _read(
    data: str, options: ReadingOptions, class_names: Mapping[str, tuple[str, ...]]
) -> Dataset:
    """The other data set; its only label column is the head of that name, where there is one."""
    asked = reading(options)
    dataset = open_dataset(data, reading=asked)
    if len(asked.label_column) == 1 and asked.label_column[0] in class_names:
        (head,) = asked.label_column
        dataset = replace(
            dataset,
            labels={head: dataset.labels["class"]},
            class_names={head: dataset.class_names["class"]},
        )
    return dataset


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

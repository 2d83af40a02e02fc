"""The images that channels are asked about: a data set, a run's own, or plain pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from convoscope.arrays import ByteArray, IntArray
from convoscope.data.cache import Decoded, decode
from convoscope.data.dataset import SPLIT_NAMES, Dataset
from convoscope.data.decoding import has_image_suffix
from convoscope.data.sources import open_dataset
from convoscope.data.splits import read_splits
from convoscope.errors import DataError, SettingsError, unknown_name
from convoscope.jobs.explain_subject import Subject
from convoscope.jobs.predict import find_images
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.settings import asked_request
from convoscope.jobs.source import ReadingOptions, asked_dataset, reading


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """N images as the network sees them: ``pixels`` (N, H, W, C) uint8, a memory map or an array.

    ``labels`` (N,) are indices into ``class_names``, -1 where not known; without classes there are
    none. ``sentence`` says which images they are; ``skipped`` how many could not be read.
    """

    name: str
    pixels: ByteArray
    ids: tuple[str, ...]
    labels: IntArray
    class_names: tuple[str, ...]
    sentence: str
    skipped: int = 0


def asked_images(
    subject: Subject,
    data: str | Path | None,
    *,
    split: str | None = None,
    head: str | None = None,
    skip_unreadable: bool = False,
    progress: Progress = unwatched,
    **options: Unpack[ReadingOptions],
) -> Asked:
    """The images of ``data``, or without it the run's own, of one ``split`` or of all.

    ``data`` is whatever ``train`` takes, or one image, or a folder of images without classes.
    ``head`` chooses among several labels.

    Raises:
        SettingsError: if there is neither data nor a run, or no such split.
        UnknownNameError: if there is no such head.
        DataError: if there is no such data, or the split holds no image.
    """
    dataset = _dataset(subject, data, options)
    if split is not None and split not in SPLIT_NAMES:
        raise unknown_name("split", split, SPLIT_NAMES)
    if head is not None and head not in dataset.labels:
        raise unknown_name("head", head, dataset.labels)
    decoded = decode(
        dataset,
        preprocessing=subject.network.preprocessing,
        skip_unreadable=skip_unreadable,
        progress=lambda done, total: progress("decoding", done, total),
    )
    rows = _rows(subject, decoded, data, split)
    chosen = head or next(iter(decoded.dataset.labels), None)
    unknown = np.full(len(decoded.dataset), -1, dtype=np.int64)
    labels = unknown if chosen is None else decoded.dataset.labels[chosen]
    ids = decoded.dataset.ids
    return Asked(
        name=dataset.name,
        pixels=decoded.images if rows is None else np.asarray(decoded.images[rows]),
        ids=ids if rows is None else tuple(ids[row] for row in rows),
        labels=labels if rows is None else labels[rows],
        class_names=() if chosen is None else decoded.dataset.class_names[chosen],
        sentence=_sentence(subject, dataset, data, split),
        skipped=len(decoded.skipped),
    )


def _dataset(subject: Subject, data: str | Path | None, options: ReadingOptions) -> Dataset:
    if data is not None:
        path = Path(data)
        if _is_plain(path):
            return _plain(path)
        return open_dataset(data, reading=reading(options))
    said = [name for name, value in options.items() if value]
    if said:
        raise SettingsError(
            f"--{said[0].replace('_', '-')} says how DATA is read, but none is named: name DATA, "
            "or leave the option out"
        )
    if subject.run is None:
        raise SettingsError(
            f"{subject.source}: an atlas shows parts of images, got none: name a data set, a "
            "folder of images, or an image"
        )
    return asked_dataset(asked_request(subject.run.path, subject.run.record().settings))


def _is_plain(path: Path) -> bool:
    """Whether it is an image file, or a folder of images without classes."""
    if path.is_file():
        return has_image_suffix(path)
    if not path.is_dir():
        return False
    inside = [each for each in path.iterdir() if not each.name.startswith(".")]
    return any(map(has_image_suffix, inside)) and not any(each.is_dir() for each in inside)


def _plain(path: Path) -> Dataset:
    files = find_images([path])
    root = path if path.is_dir() else path.parent
    return Dataset(
        name=path.name,
        root=root,
        ids=tuple(str(file.relative_to(root)) for file in files),
        labels={},
        class_names={},
        files=tuple(files),
    )


def _rows(
    subject: Subject, decoded: Decoded, data: str | Path | None, split: str | None
) -> IntArray | None:
    """The rows of the split, ``None`` for all.

    Raises:
        SettingsError: if the data knows no splits.
        DataError: if the split is empty.
    """
    if split is None:
        return None
    if data is None and subject.run is not None:
        indices = dict(read_splits(subject.run.split_file, decoded.dataset).indices)
        rows = indices.get(split, np.zeros(0, dtype=np.int64))  # type: ignore[call-overload]
    elif decoded.dataset.given_split is not None:
        rows = np.flatnonzero(np.array(decoded.dataset.given_split) == split)
    else:
        raise SettingsError(
            f"--split {split}: only data that comes divided has a split, {data} does not: leave "
            "--split out"
        )
    if not len(rows):
        raise DataError(f"--split {split}: a split must hold images, this one has none")
    found: IntArray = np.asarray(rows, dtype=np.int64)
    return found


def _sentence(
    subject: Subject, dataset: Dataset, data: str | Path | None, split: str | None
) -> str:
    what = f"the {split} images of {dataset.name}" if split else f"all images of {dataset.name}"
    if data is None and split in (None, "train"):
        return f"These are {what}, among them those that the network learnt from."
    return f"These are {what}."

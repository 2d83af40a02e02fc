"""Which images are explained: those that were named, or a few of a run's own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from convoscope.arrays import ByteArray, IntArray
from convoscope.data.cache import sha256_of
from convoscope.data.dataset import Dataset
from convoscope.data.decoding import network_input
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import DataError
from convoscope.jobs.predict import find_images, network_pixels
from convoscope.jobs.settings import asked_request
from convoscope.jobs.source import asked_dataset
from convoscope.metrics.mistakes import most_confident_mistakes
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.runs import Run
from convoscope.runs.splitting import hashes_of

RIGHT_SHOWN: Final = 5
WRONG_SHOWN: Final = 3
FEWEST: Final = 6
"""Where there are fewer mistakes, more right answers make up so many images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageToExplain:
    """An image: ``name`` is fit for a folder, ``file`` is what people know it by, ``pixels`` gives
    it as the network sees it, (H, W, C) uint8. ``labels`` are its classes by head, where known.
    """

    name: str
    file: str
    pixels: Callable[[], ByteArray]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesToExplain:
    """The images, and in a sentence how they were chosen; empty where they were named."""

    images: tuple[ImageToExplain, ...]
    sentence: str = ""


def named_images(images: Sequence[str | Path], preprocessing: Preprocessing) -> ImagesToExplain:
    """The image files that were named, and every one below the folders that were.

    Raises:
        DataError: if a file or folder is not there, or a folder holds no image.
    """
    files = find_images([Path(image) for image in images])
    return ImagesToExplain(
        images=tuple(
            ImageToExplain(
                name=folder_name(number, file.stem),
                file=str(file),
                pixels=partial(network_pixels, file, preprocessing),
            )
            for number, file in enumerate(files, start=1)
        )
    )


def own_images(run: Run, preprocessing: Preprocessing, head: str | None = None) -> ImagesToExplain:
    """A few images that the run was tested on: some named right, some wrong.

    Raises:
        DataError: if they are no longer where they were, or no longer the same.
        RunError: if the run has no predictions.
    """
    splits = run.splits()
    split = "test" if "test" in splits else splits[-1] if splits else "test"
    said = run.predictions(split)
    chosen = chosen_ids(said, head or next(iter(said.heads)))
    return ImagesToExplain(
        images=images_of_run(run, said, chosen.ids, preprocessing),
        sentence=chosen.sentence(split),
    )


def images_of_run(
    run: Run, said: Predictions, ids: Sequence[str], preprocessing: Preprocessing
) -> tuple[ImageToExplain, ...]:
    """Images of the run by their ids, with the labels that its predictions know.

    Raises:
        DataError: if they are no longer where they were, or no longer the same.
    """
    dataset = asked_dataset(asked_request(run.path, run.record().settings))
    rows = {name: row for row, name in enumerate(dataset.ids)}
    hashes = hashes_of(run)
    places = {name: place for place, name in enumerate(said.ids)}
    images = []
    for number, name in enumerate(ids, start=1):
        _check_unchanged(run, dataset, rows.get(name), name, hashes)
        images.append(
            ImageToExplain(
                name=folder_name(number, Path(name).stem),
                file=name,
                pixels=partial(_pixels, dataset, rows[name], preprocessing),
                labels=_labels(said, places[name]),
            )
        )
    return tuple(images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Ids of images that were named right, and of images that were named wrong."""

    right: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them, those named right first."""
        return (*self.right, *self.wrong)

    def sentence(self, split: str) -> str:
        """How they were chosen."""
        if not self.wrong:
            return (
                f"From the {split} images: for each of some classes the right answer of middle "
                "confidence. No image was named wrong."
            )
        confident = "mistake" if len(self.wrong) == 1 else f"{len(self.wrong)} mistakes"
        right = (
            "for each of some classes the right answer of middle confidence, then "
            if self.right
            else ""
        )
        return f"From the {split} images: {right}the most confident {confident}."


def chosen_ids(predictions: Predictions, head: str) -> Chosen:
    """Images by a rule that picks no favourites: of each class, or of classes spread evenly over
    all, the right answer of middle confidence, where there are few classes the next to it too;
    then the most confident mistakes.
    """
    said = predictions.heads[head]
    wrong = most_confident_mistakes(predictions, head, count=WRONG_SHOWN)
    right = [_from_the_middle(said, index) for index in range(len(said.class_names))]
    there = [rows for rows in right if rows]
    wanted = max(RIGHT_SHOWN, FEWEST - len(wrong))
    spread = np.linspace(0, len(there) - 1, min(wanted, len(there))).round().astype(int)
    rounds = itertools.zip_longest(*(there[place] for place in spread))
    rows = [row for one_each in rounds for row in one_each if row is not None]
    return Chosen(
        right=tuple(predictions.ids[row] for row in rows[:wanted]),
        wrong=tuple(mistake.id for mistake in wrong),
    )


def folder_name(number: int, stem: str) -> str:
    """``001-cat``: a name that every disk takes, and that keeps images in order."""
    word = re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:60]
    return f"{number:03d}-{word}" if word else f"{number:03d}"


def _from_the_middle(said: HeadPredictions, index: int) -> list[int]:
    """The rows of a class's right answers, that of middle confidence first."""
    right: IntArray = np.flatnonzero((said.labels == index) & (said.predicted() == index))
    order = np.argsort(said.probabilities()[right, index], kind="stable")
    away = np.abs(np.arange(len(right)) - len(right) // 2)
    return [int(row) for row in right[order][np.argsort(away, kind="stable")]]


def _labels(said: Predictions, place: int) -> dict[str, str]:
    return {
        name: head.class_names[head.labels[place]]
        for name, head in said.heads.items()
        if head.labels[place] >= 0
    }


def _check_unchanged(
    run: Run, dataset: Dataset, row: int | None, name: str, hashes: Mapping[str, str]
) -> None:
    """Refuse an image that is gone, or another picture than the one that was tested.

    Raises:
        DataError: says which, and what to do.
    """
    if row is None or (name in hashes and sha256_of(dataset, row) != hashes[name]):
        what = "it is no longer there" if row is None else "it was changed since"
        raise DataError(
            f"{run.path}: without images of your own the run's are explained, and of {name} "
            f"{what}: name images, as in  convoscope explain {run.path} IMAGE"
        )


def _pixels(dataset: Dataset, row: int, preprocessing: Preprocessing) -> ByteArray:
    if dataset.files is not None:
        return network_pixels(dataset.files[row], preprocessing)
    assert dataset.pixels is not None, "a data set has files or pixels"
    return network_input(dataset.pixels[row], preprocessing)

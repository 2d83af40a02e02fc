"""Named sets that are folders of images: Caltech-101 and iNaturalist-12K, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convoscope.data.catalogue.table import CALTECH_CLASSES, NATURE_CLASSES
from convoscope.data.dataset import Dataset, take
from convoscope.data.folders import read_folder
from convoscope.errors import DataError

_NO_CLASS = "BACKGROUND_Google"
"""Caltech-101's folder of pictures of anything, which nobody counts as a class."""


def read_caltech101(folder: Path) -> Dataset:
    """A folder per class; a copy may have some of the classes, split into folders or not.

    Raises:
        DataError: if there are folders that are no class of Caltech-101, or none.
    """
    return _only(_without(read_folder(folder), _NO_CLASS), CALTECH_CLASSES, "Caltech-101")


def read_inaturalist(folder: Path) -> Dataset:
    """A folder per class in ``train`` and in ``val``; its validation images are the test set.

    Raises:
        DataError: if there are folders that are no class of the set, or none.
    """
    return _only(read_folder(folder), NATURE_CLASSES, "iNaturalist-12K")


def _without(dataset: Dataset, name: str) -> Dataset:
    (names,) = dataset.class_names.values()
    if name not in names:
        return dataset
    dropped = names.index(name)
    labels = dataset.labels["class"]
    part = take(dataset, np.flatnonzero(labels != dropped))
    left = part.labels["class"]
    return replace(
        part,
        labels={"class": left - (left > dropped)},
        class_names={"class": tuple(each for each in names if each != name)},
    )


def _only(dataset: Dataset, classes: Sequence[str], title: str) -> Dataset:
    """The data set, if all of its classes are that set's."""
    (names,) = dataset.class_names.values()
    strange = [name for name in names if name not in classes]
    if strange:
        raise DataError(
            f"{dataset.place}: the folders of {title} must be its classes, such as {classes[0]} "
            f"and {classes[-1]}, found {strange[0]!r}: name the folder that holds the classes"
        )
    lacking = len(classes) - len(names)
    if not lacking:
        return dataset
    note = f"this copy of {title} has {len(names)} of {len(classes)} classes"
    return replace(dataset, notes=(*dataset.notes, note))

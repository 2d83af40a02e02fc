"""``lines`` as a data set that is always there, by a name that says which one is meant.

``lines`` or ``lines:honest`` keeps every placement in one split, ``lines:published`` does not.
``lines:heads`` labels length, width, angle and colour, each as a head, instead of the 96 classes;
``@60/40`` makes so many training and test images of each class instead of 600 and 400. All
together: ``lines:published,heads@60/40``.
"""

from __future__ import annotations

import re

import numpy as np

from convoscope.data.combined import combined
from convoscope.data.dataset import Dataset
from convoscope.data.lines.generate import TEST, TRAIN, VERSIONS, LineSet, Version, make_lines
from convoscope.data.lines.raster import CLASSES, FACTORS
from convoscope.errors import SettingsError, unknown_name

_HEADS = "heads"
_COUNTS = re.compile(r"(\d{1,6})/(\d{1,6})")


def read_lines(name: str = "lines") -> Dataset:
    """The set of that name, drawn anew: the same name gives the same images.

    Raises:
        UnknownNameError: if a word after ``:`` is neither a version nor ``heads``.
        SettingsError: if two versions are named, or the counts after ``@`` are none.
    """
    words, _, counts = name.removeprefix("lines").removeprefix(":").partition("@")
    asked = [word.strip() for word in words.split(",") if word.strip()]
    for word in asked:
        if word not in (*VERSIONS, _HEADS):
            raise unknown_name("word after 'lines:'", word, (*VERSIONS, _HEADS))
    train, test = _counts(name, counts) if "@" in name else (TRAIN, TEST)
    drawn = make_lines(_version(name, asked), train=train, test=test)
    heads = dataset_of(drawn, name)
    return heads if _HEADS in asked else combined(heads)


def dataset_of(drawn: LineSet, name: str) -> Dataset:
    """The images as a data set of four heads."""
    labels = np.array([line.labels for line in CLASSES], dtype=np.int64)[drawn.classes]
    ids = zip(drawn.splits, drawn.names, strict=True)
    return Dataset(
        name=name.replace(":", "-").replace("/", "-").replace(",", "-").replace("@", "-"),
        root=None,
        ids=tuple(f"{split}/{stem}" for split, stem in ids),
        labels={factor: labels[:, column] for column, factor in enumerate(FACTORS)},
        class_names=dict(FACTORS),
        pixels=drawn.pixels,
        given_split=drawn.splits,
        notes=(_note(drawn),),
    )


def _version(name: str, asked: list[str]) -> Version:
    versions = [version for version in VERSIONS if version in asked]
    if len(versions) > 1:
        raise SettingsError(
            f"{name}: a set is one version, got {' and '.join(versions)}: name one of them"
        )
    return versions[0] if versions else "honest"


def _counts(name: str, text: str) -> tuple[int, int]:
    found = _COUNTS.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"{name}: after @ must stand the training and test images of each class, such as "
            f"@600/400, got {text!r}: write it like that"
        )
    return int(found[1]), int(found[2])


def _note(drawn: LineSet) -> str:
    found = drawn.placements()
    images = int((~drawn.is_train).sum())
    said = (
        f"{len(drawn):,} images of lines are {found['train']:,} different pictures in train and "
        f"{found['test']:,} in test"
    )
    if not found["test_images_seen"]:
        return f"{said}; none is in both"
    share = found["test_images_seen"] / images
    return f"{said}; {share:.1%} of the test images are pixel for pixel a training image"

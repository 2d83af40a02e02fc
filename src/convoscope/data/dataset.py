"""A data set as everybody above sees it: images on disk or in memory, labels per head, ids.

Nothing is decoded here: a :class:`Dataset` says what there is, the cache decodes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from convoscope.arrays import ByteArray, IntArray

SplitName: TypeAlias = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")
OUT_OF_FOLD = "out-of-fold"
"""Every image, each as the network of a cross-validation said it that was not trained on it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """N labelled images.

    Either ``files`` (image files, any size and format) or ``pixels`` (N, H, W, C) uint8 is there.
    ``root`` is the folder that files are named from, ``source`` the file that lists them, if any.
    ``ids`` name the images for people: the path below the data folder, or ``digits/0042``.
    ``labels`` per head (N,) int64, -1 where not known; ``class_names`` per head.
    ``given_split`` per image, where the source comes already split; ``groups`` per image names
    what must stay in one split together (a patient, an animal, a video). ``factors`` says of a head
    whose classes are combinations, such as ``15_3_135_red``, what each class is in each factor:
    ``{"class": {"length": ("7", ..., "15"), ...}}``, a word per class. ``notes`` are sentences on
    how the source was read that a person should see.
    """

    name: str
    root: Path | None
    ids: tuple[str, ...]
    labels: Mapping[str, IntArray]
    class_names: Mapping[str, tuple[str, ...]]
    source: Path | None = None
    files: tuple[Path, ...] | None = None
    pixels: ByteArray | None = None
    given_split: tuple[SplitName, ...] | None = None
    groups: tuple[str, ...] | None = None
    factors: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def place(self) -> str:
        """Where the data is, as an error says it."""
        where = self.source or self.root
        return self.name if where is None else str(where)


def take(dataset: Dataset, rows: IntArray) -> Dataset:
    """The images of those rows, in that order; classes stay as they are."""
    return replace(
        dataset,
        ids=_taken(dataset.ids, rows),
        labels={head: labels[rows] for head, labels in dataset.labels.items()},
        files=None if dataset.files is None else _taken(dataset.files, rows),
        pixels=None if dataset.pixels is None else dataset.pixels[rows],
        given_split=None if dataset.given_split is None else _taken(dataset.given_split, rows),
        groups=None if dataset.groups is None else _taken(dataset.groups, rows),
    )


def _taken(values: tuple[_T, ...], rows: IntArray) -> tuple[_T, ...]:
    return tuple(values[row] for row in rows.tolist())

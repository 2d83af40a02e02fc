"""A data set as everybody above sees it: images on disk or in memory, labels per head, ids.

Nothing is decoded here: a :class:`Dataset` says what there is, the cache decodes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from convoscope.arrays import ByteArray, IntArray

SplitName: TypeAlias = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """N labelled images.

    Either ``files`` (image files, any size and format) or ``pixels`` (N, H, W, C) uint8 is there.
    ``ids`` name the images for people: the path below the data folder, or ``digits/0042``.
    ``labels`` per head (N,) int64, -1 where not known; ``class_names`` per head.
    ``given_split`` per image, where the source comes already split; ``groups`` per image names
    what must stay in one split together (a patient, an animal, a video). ``notes`` are sentences
    on how the source was read that a person should see.
    """

    name: str
    root: Path | None
    ids: tuple[str, ...]
    labels: Mapping[str, IntArray]
    class_names: Mapping[str, tuple[str, ...]]
    files: tuple[Path, ...] | None = None
    pixels: ByteArray | None = None
    given_split: tuple[SplitName, ...] | None = None
    groups: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

"""From the labels that a source writes to class indices and class names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from convoscope.arrays import Array, IntArray
from convoscope.data.folders import natural
from convoscope.errors import DataError

UNKNOWN = -1
"""The class index of an image whose label is not known."""

_WHOLE = re.compile(r"-?\d+")


def number_words(words: Sequence[str | None]) -> tuple[IntArray, tuple[str, ...]]:
    """Class indices (N,) int64 of N labels, ``UNKNOWN`` for None, and the class names.

    The class names are the different labels in composed letters, sorted as people count.
    """
    words = [None if word is None else unicodedata.normalize("NFC", word) for word in words]
    class_names = sorted_names({word for word in words if word is not None})
    index = {name: number for number, name in enumerate(class_names)}
    numbers = [UNKNOWN if word is None else index[word] for word in words]
    return np.array(numbers, dtype=np.int64), class_names


def number_integers(values: Array) -> tuple[IntArray, tuple[str, ...]]:
    """Class indices (N,) int64 of N whole numbers, and the class names; below 0 is ``UNKNOWN``."""
    known = values >= 0
    classes = np.unique(values[known])
    indices = np.where(known, np.searchsorted(classes, values), UNKNOWN)
    return indices.astype(np.int64), tuple(str(value) for value in classes.tolist())


def check_classes(what: str, class_names: Sequence[str]) -> None:
    """Refuse labels with a single class; ``what`` names them.

    Raises:
        DataError: if there are fewer than two classes.
    """
    if len(class_names) < 2:
        raise DataError(
            f"{what}: there must be at least two classes to tell apart, found "
            f"{'only ' + repr(class_names[0]) if class_names else 'none'}: "
            "add images of another class"
        )


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names as people count: whole numbers by value, others as folders' names are sorted."""
    listed = sorted(names, key=natural)
    return tuple(sorted(listed, key=int) if all(map(_WHOLE.fullmatch, listed)) else listed)

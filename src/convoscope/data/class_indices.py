"""From the labels that a source writes to class indices and class names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from convoscope.arrays import Array, IntArray

UNKNOWN = -1
"""The class index of an image whose label is not known."""

_WHOLE = re.compile(r"-?\d+")


def number_words(words: Sequence[str | None]) -> tuple[IntArray, tuple[str, ...]]:
    """Class indices (N,) int64 of N labels, ``UNKNOWN`` for None, and the class names.

    The class names are the different labels, sorted; labels that are all whole numbers are sorted
    by value, so that ``"10"`` comes after ``"9"``.
    """
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


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order in which people count them: whole numbers by value, words by letter."""
    listed = sorted(names)
    if all(_WHOLE.fullmatch(name) for name in listed):
        listed.sort(key=int)
    return tuple(listed)

"""Labels that come as arrays - whole numbers, one-hot rows or words - turned into class indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import Array, IntArray
from convoscope.data.class_indices import UNKNOWN, number_integers, number_words
from convoscope.errors import DataError


def as_labels(
    parts: Sequence[Array], *, class_names: Array | None = None, may_miss: bool = False
) -> tuple[IntArray, tuple[str, ...]]:
    """Class indices (N,) int64 of all parts, one after the other, and the class names.

    A part is (N,) or (N, 1) whole numbers, bools or words, or (N, K) one-hot rows, which name
    their classes 0 to K - 1. ``class_names`` (K,) words belong to the numbers 0 to K - 1. Numbers
    below 0 and empty words are unknown labels, and refused unless ``may_miss``.

    Raises:
        DataError: if the parts are none of these, not all of one kind, or labels are missing.
    """
    kinds = {_kind(part) for part in parts}
    if len(kinds) > 1:
        raise DataError(
            "the labels of all splits must be of one kind, got "
            f"{' and '.join(sorted(kinds))}: save all of them as whole numbers from 0"
        )
    (kind,) = kinds
    if kind == "words":
        indices, names = number_words([_word(word) for part in parts for word in part.ravel()])
    else:
        numbers = np.concatenate([_numbers(part, kind) for part in parts])
        classes = parts[0].shape[1] if kind.startswith("one-hot") else 0
        indices, names = _named(numbers, class_names, classes)
    missing = np.flatnonzero(indices == UNKNOWN)
    if len(missing) and not may_miss:
        raise DataError(
            f"every image needs a label, but {len(missing)} of {len(indices)} have none "
            f"(below 0, or empty), the first is number {missing[0]}: fill them in or leave these "
            "images out"
        )
    return indices, names


def _kind(part: Array) -> str:
    """What sort of labels a part holds."""
    if part.ndim == 1 or (part.ndim == 2 and part.shape[1] == 1):
        if part.dtype.kind in "US":
            return "words"
        if part.dtype.kind in "bui" or _is_whole(part):
            return "whole numbers"
    elif part.ndim == 2 and part.dtype.kind in "buif":
        if np.isin(part, (0, 1)).all() and (part.sum(axis=1) == 1).all():
            return f"one-hot rows of {part.shape[1]}"
        raise DataError(
            f"labels of shape {part.shape} must be one-hot, a single 1 and else 0 in each row, "
            f"but {_first_other(part)}: save one whole number per image, or one array per head"
        )
    raise DataError(
        "labels must be whole numbers, words or one-hot rows, got "
        f"{part.dtype} of shape {part.shape}{_not_whole(part)}: save one whole number per image"
    )


def _is_whole(part: Array) -> bool:
    return part.dtype.kind == "f" and bool((np.isfinite(part) & (part == np.rint(part))).all())


def _not_whole(part: Array) -> str:
    if part.dtype.kind != "f" or part.ndim == 0 or not part.size:
        return ""
    with np.errstate(invalid="ignore"):
        other = part[~(part == np.rint(part)) | ~np.isfinite(part)]
    return f" with {len(other)} values such as {other[0]:g}" if other.size else ""


def _first_other(part: Array) -> str:
    other = ~(np.isin(part, (0, 1)).all(axis=1) & (part.sum(axis=1) == 1))
    row = int(np.flatnonzero(other)[0])
    return f"row {row} is {np.array2string(part[row], threshold=8, separator=', ')}"


def _numbers(part: Array, kind: str) -> Array:
    return part.argmax(axis=1) if kind.startswith("one-hot") else part.ravel().astype(np.int64)


def _word(value: str | bytes) -> str | None:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip() or None


def _named(
    numbers: Array, class_names: Array | None, classes: int
) -> tuple[IntArray, tuple[str, ...]]:
    """Indices and names of whole numbers, by the class names if there are any."""
    if class_names is None:
        if not classes:
            return number_integers(numbers)
        return numbers.astype(np.int64), tuple(map(str, range(classes)))
    names = tuple(_word(name) or str(i) for i, name in enumerate(class_names.ravel()))
    if (numbers.size and numbers.max() >= len(names)) or len(set(names)) < len(names):
        raise DataError(
            f"the class names must be different and one for each label 0 to {numbers.max()}, got "
            f"{len(names)}: {', '.join(names[:5])}: save a name for each class"
        )
    return np.maximum(numbers, UNKNOWN).astype(np.int64), names

"""Data sets in NumPy's ``.npz`` files: arrays of images and labels under the usual names.

A key is read word by word: ``x_train``, ``trainX``, ``train_images`` and ``images_train`` are all
the images of the training part; ``y``, ``labels`` and ``target`` are labels, what remains
(``labels_colour``) is the name of a head; ``class_names`` and ``target_names`` are class names.
Without any key of labels, every other array with one whole number or word per image is a head.

What the arrays may look like is said in :mod:`convoscope.data.pixel_arrays` and
:mod:`convoscope.data.label_arrays`. Nothing is ever unpickled.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from numpy import load, ndarray
from numpy.lib.npyio import NpzFile

from convoscope.arrays import Array, IntArray
from convoscope.data.class_indices import check_classes
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.data.label_arrays import as_labels
from convoscope.data.pixel_arrays import ImageShape, Layout, as_pixels
from convoscope.data.split_words import SPLIT_WORDS
from convoscope.errors import DataError, placed

_IMAGES = {"x", "xs", "image", "images", "img", "imgs", "pixels", "pictures"}
_MAYBE_IMAGES = {"data", "features", "input", "inputs", "samples"}
_LABELS = {"y", "ys", "label", "labels", "target", "targets", "class", "classes", "category"}
_LISTED = 8
# What NumPy's reader and the zip reader below it raise for bytes that make no sense.
_DAMAGE = (
    ValueError, OSError, EOFError, KeyError, RuntimeError, MemoryError, OverflowError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
_ADVICE = "save them as numpy.savez(file, images=..., labels=...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A key as it reads: ``role`` is images, maybe images, labels, names or other."""

    text: str
    role: str
    split: SplitName | None
    head: str


@dataclass(slots=True, kw_only=True)
class _Roles:
    """Which key holds what; ``labels`` per head and split, ``names`` per head."""

    images: dict[SplitName | None, str] = field(default_factory=dict)
    labels: dict[str, dict[SplitName | None, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    is_labelled: bool = False


class _Head(NamedTuple):
    """One head: labels (N,) int64, class names, and the keys that they came from."""

    labels: IntArray
    class_names: tuple[str, ...]
    keys: tuple[str, ...]


def read_npz(
    path: Path,
    *,
    image_shape: ImageShape | None = None,
    layout: Layout | None = None,
    name: str | None = None,
) -> Dataset:
    """The data set in an ``.npz`` file; ``name`` is the file's stem where it is not said.

    ``image_shape`` and ``layout`` are those of
    :func:`~convoscope.data.pixel_arrays.as_pixels`. The split is given where the keys say
    it. A single head is called ``"class"``.

    Raises:
        DataError: if the file cannot be read, holds pickled objects, its keys name no images or
            labels or could name two, or images and labels do not belong together.
    """
    name = name or path.stem
    with placed(str(path)), _opened(path) as file:
        roles = _roles(file)
        images = {split: _array(file, roles.images[split]) for split in _order(roles.images)}
        with placed(_listed(roles.images.values())):
            pixels = as_pixels(list(images.values()), image_shape=image_shape, layout=layout)
        counts = {split: len(part) for split, part in images.items()}
        heads = _heads(file, roles, counts)
        used = {*roles.images.values(), *(key for head in heads.values() for key in head.keys)}
        notes = _notes(file, used)
    return Dataset(
        name=name,
        root=path.parent,
        ids=tuple(i for split, n in counts.items() for i in _ids(split or name, n)),
        labels={name: head.labels for name, head in heads.items()},
        class_names={name: head.class_names for name, head in heads.items()},
        pixels=pixels,
        given_split=tuple(s for s, n in counts.items() if s for _ in range(n)) or None,
        notes=notes,
    )


@contextmanager
def _opened(path: Path) -> Iterator[NpzFile]:
    with path.open("rb") as stream:
        try:
            file = load(stream, allow_pickle=False)
        except _DAMAGE:
            file = None
        if not isinstance(file, NpzFile):
            raise DataError(
                "an npz file must be a whole zip archive of arrays, this is none or it is cut "
                f"short: {_ADVICE}"
            )
        with file:
            yield file


def _array(file: NpzFile, key: str) -> Array:
    """One array of the file, whole and without pickled objects."""
    try:
        array = file[key]
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{key!r} holds Python objects, which only pickle can read and which could run "
                "any program: save it as an array of numbers, or of words with dtype=str"
            ) from error
        raise DataError(
            f"{key!r} cannot be read ({type(error).__name__}: {error}): save the file again"
        ) from error
    if not isinstance(array, ndarray):
        raise DataError(f"{key!r} must be an array, but the archive holds another file: {_ADVICE}")
    return array


def _roles(file: NpzFile) -> _Roles:
    """What each key of the file holds, by its name.

    Raises:
        DataError: if no key names images, or two keys name the same thing.
    """
    keys = [_read_key(text) for text in file.files]
    has_images = any(key.role == "images" for key in keys)
    roles = _Roles(is_labelled=any(key.role == "labels" for key in keys))
    for key in keys:
        if key.role == "images" or (key.role == "maybe images" and not has_images):
            _put(roles.images, key.split, key.text, "images")
        elif key.role == "labels" or (key.role == "other" and not roles.is_labelled):
            _put(roles.labels.setdefault(key.head, {}), key.split, key.text, "labels")
        elif key.role == "names":
            roles.names[key.head] = key.text
    if not roles.images:
        raise DataError(
            f"an npz data set needs an array called images, x or x_train, but the arrays are "
            f"{_listed(file.files)}: {_ADVICE}"
        )
    _unnamed_is_train(roles)
    return roles


def _put(places: dict[SplitName | None, str], split: SplitName | None, key: str, what: str) -> None:
    if split in places:
        raise DataError(
            f"there must be one array of {what} for each split, but both {places[split]!r} and "
            f"{key!r} could be it: rename or remove one of them"
        )
    places[split] = key


def _unnamed_is_train(roles: _Roles) -> None:
    """Beside a named split, ``x`` and ``y`` alone are the training part."""
    for places in (roles.images, *roles.labels.values()):
        if None in places and len(roles.images) > 1 and "train" not in places:
            places["train"] = places.pop(None)


def _read_key(text: str) -> _Key:
    """A key, word by word: the first role and split count, what remains names a head."""
    spaced = re.sub(r"(class|label|target)names", r"\1_names", text, flags=re.IGNORECASE)
    role, split = "other", None
    rest: list[str] = []
    for word in re.findall(r"[^\W_]+", spaced):
        word_role, word_split = _WORDS.get(word.casefold(), ("other", None))
        if word_role == "other" and word_split is None:
            rest.append(word)
        role = word_role if role == "other" else role
        split = split or word_split
    if role == "labels" and rest and rest[-1].casefold() in ("name", "names"):
        role = "names"
        rest.pop()
    return _Key(text=text, role=role, split=split, head="_".join(rest))


def _known_words() -> dict[str, tuple[str, SplitName | None]]:
    """Every word with its role and split, alone or glued: ``x``, ``test``, ``xtest``, ``testx``."""
    words: dict[str, tuple[str, SplitName | None]] = {}
    for role, names in (("images", _IMAGES), ("maybe images", _MAYBE_IMAGES), ("labels", _LABELS)):
        for name in names:
            words[name] = (role, None)
            for split_word, split in SPLIT_WORDS.items():
                words[name + split_word] = words[split_word + name] = (role, split)
    return words | {word: ("other", split) for word, split in SPLIT_WORDS.items()}


_WORDS = _known_words()


def _heads(
    file: NpzFile, roles: _Roles, counts: Mapping[SplitName | None, int]
) -> dict[str, _Head]:
    """The labels of every head, each with one label for each image.

    Raises:
        DataError: if there are none, or an array of labels does not fit the images.
    """
    found: dict[str, dict[str, Array]] = {}
    for head, keys in roles.labels.items():
        arrays = {keys[split]: _array(file, keys[split]) for split in counts if split in keys}
        fits = [len(a) if a.ndim else 0 for a in arrays.values()] == list(counts.values())
        if roles.is_labelled:
            _check_counts(roles, keys, arrays, counts)
        elif not fits or any(a.ndim != 1 or a.dtype.kind not in "iuUS" for a in arrays.values()):
            continue
        found[head] = arrays
    if not found:
        raise DataError(
            f"the images {_listed(roles.images.values())} need labels, an array called labels, y "
            f"or y_train, but the arrays are {_listed(file.files)}: {_ADVICE}"
        )
    return {
        "class" if len(found) == 1 else head or "class": _head(
            file, arrays, roles.names.get(head), may_miss=len(found) > 1
        )
        for head, arrays in found.items()
    }


def _head(
    file: NpzFile, arrays: Mapping[str, Array], names: str | None, *, may_miss: bool
) -> _Head:
    class_names = None if names is None else _array(file, names)
    with placed(_listed(arrays)):
        indices, classes = as_labels(
            list(arrays.values()), class_names=class_names, may_miss=may_miss
        )
    check_classes(_listed(arrays), classes)
    return _Head(indices, classes, (*arrays, *([names] if names else [])))


def _check_counts(
    roles: _Roles,
    keys: Mapping[SplitName | None, str],
    arrays: Mapping[str, Array],
    counts: Mapping[SplitName | None, int],
) -> None:
    """Refuse labels that lack a split or have another number than the images there."""
    for split, count in counts.items():
        images = roles.images[split]
        if split not in keys:
            raise DataError(
                f"the images {images!r} have no labels beside {_listed(keys.values())}: "
                "save their labels too, or leave these images out"
            )
        array = arrays[keys[split]]
        if array.ndim == 0 or len(array) != count:
            raise DataError(
                f"{keys[split]!r} must have a label for each of the {count} images of {images!r}, "
                f"but has shape {array.shape}: save the labels that belong to them"
            )


def _order(parts: Mapping[SplitName | None, str]) -> list[SplitName | None]:
    """Training, validation, test; or the one part that is in no split."""
    return [split for split in (None, *SPLIT_NAMES) if split in parts]


def _ids(part: str, count: int) -> list[str]:
    digits = max(5, len(str(count - 1)))
    return [f"{part}/{number:0{digits}}" for number in range(count)]


def _notes(file: NpzFile, used: set[str]) -> tuple[str, ...]:
    unread = [key for key in file.files if key not in used]
    verb = "was" if len(unread) == 1 else "were"
    return (f"{_listed(unread)} {verb} not read",) if unread else ()


def _listed(keys: Iterable[str]) -> str:
    names = [repr(key) for key in keys]
    more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join([*names[:_LISTED], *more])

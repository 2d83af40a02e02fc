"""Image folders: a folder per class, below folders for train, validation and test or not.

::

    photos/cat/1.jpg            photos/train/cat/1.jpg
    photos/dog/2.jpg            photos/val/cat/2.jpg, photos/test/cat/3.jpg

Sub-folders inside a class belong to it. Hidden files, ``Thumbs.db`` and the like are passed over;
other files that are no images are left out with a note. Names are sorted as people count, so that
``class10`` comes after ``class9``, whatever order the file system lists them in.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.data.decoding import image_suffixes
from convoscope.data.split_words import split_named
from convoscope.errors import DataError

_LITTER = frozenset({"thumbs.db", "desktop.ini", "icon\r", "__macosx"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """The images of one class in one split, or in all of the data."""

    split: SplitName | None
    name: str
    files: Sequence[Path]


@dataclass(slots=True)
class _Findings:
    """What was passed over while walking, for the notes."""

    strays: list[Path] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)


def read_folder(root: Path, *, name: str | None = None) -> Dataset:
    """The images below ``root``, one head ``"class"``; the split is given where folders say it.

    ``name`` is the folder's own where it is not said. Nothing is decoded.

    Raises:
        DataError: if there is no such folder, a class has no images, there are fewer than two
            classes, or split folders stand where they cannot be understood.
    """
    _check_is_folder(root)
    findings = _Findings()
    top, notes = _descend(root)
    by_split = _split_folders(top)
    if by_split:
        classes = [c for s, folder in by_split.items() for c in _classes(folder, s, findings)]
        others = [d.name for d in _folders(top) if d not in by_split.values()]
        if others:
            notes.append(_note(others, "{} beside the split folders", "folder"))
    else:
        classes = list(_classes(top, None, findings))
    _check_classes(root, classes, findings)
    return _dataset(root, name, classes, (*notes, *_notes(root, findings)))


def natural(name: str) -> tuple[object, ...]:
    """A key that sorts names as people count: ``img2`` before ``img10``, without regard to case."""
    parts = re.split(r"([0-9]+)", unicodedata.normalize("NFC", name).casefold())
    counted = [(int(part), "") if part.isdecimal() else (0, part) for part in parts]
    return (*counted, name)


# -- the layout -----------------------------------------------------------------------------------


def _descend(root: Path) -> tuple[Path, list[str]]:
    """The folder that holds the classes or splits: an archive often unpacks into one more."""
    top, notes = root, list[str]()
    while True:
        folders = _folders(top)
        inside = _folders(folders[0]) if len(folders) == 1 else []
        if not inside or split_named(folders[0].name) or any(map(_is_image, _files(top))):
            break
        if top.resolve() in folders[0].resolve().parents:
            top = folders[0]
        else:
            break
    if top != root:
        notes.append(f"the classes were looked for in {top.relative_to(root)}, the only folder")
    return top, notes


def _split_folders(top: Path) -> dict[SplitName, Path]:
    """The folder of each split; empty if the folders right below ``top`` are classes.

    ``train`` may be a class of vehicles: it is a split if it holds folders and stands alone or
    beside another split.
    """
    folders = _folders(top)
    named = [(split, d) for d in folders if (split := split_named(d.name)) and _folders(d)]
    splits = {split for split, _ in named}
    if len(splits) < 2 and len(named) < len(folders):
        return {}
    if len(splits) < len(named):
        raise DataError(
            f"{top}: there must be one folder for each split, got "
            f"{', '.join(d.name for _, d in named)}: merge those that mean the same, or rename one"
        )
    return {split: folder for wanted in SPLIT_NAMES for split, folder in named if split == wanted}


def _classes(top: Path, split: SplitName | None, findings: _Findings) -> Iterator[_Class]:
    """A class for each folder right below ``top``, in natural order."""
    findings.loose += [file for file in _files(top) if _is_image(file)]
    findings.strays += [file for file in _files(top) if not _is_image(file)]
    folders = _folders(top)
    inner = [d for d in folders if {split_named(i.name) for i in _folders(d)} >= {"train", "test"}]
    if inner:
        raise DataError(
            f"{top}: split folders must stand above the classes, as in train/{inner[0].name}, "
            f"got {inner[0].name}/train: turn the folders round"
        )
    for folder in folders:
        files = sorted(
            _images_below(folder, (_identity(folder),), findings),
            key=lambda file: tuple(map(natural, file.relative_to(top).parts)),
        )
        yield _Class(split=split, name=_text(folder.name), files=files)


def _images_below(
    folder: Path, above: tuple[tuple[int, int], ...], findings: _Findings
) -> Iterator[Path]:
    """Every image in a class's folder; a link back to a folder above it is not followed."""
    for file in _files(folder):
        if _is_image(file):
            yield file
        else:
            findings.strays.append(file)
    for inner in _folders(folder):
        identity = _identity(inner)
        if identity in above:
            findings.loops.append(inner)
        else:
            yield from _images_below(inner, (*above, identity), findings)


# -- what is on the disk --------------------------------------------------------------------------


def _check_is_folder(root: Path) -> None:
    if not root.exists():
        raise DataError(
            f"{root}: a data set must be a folder of images, there is no such folder: "
            "check the path"
        )
    if not root.is_dir():
        raise DataError(
            f"{root}: a data set must be a folder of images, this is a file: "
            "name the folder, or unpack the archive first"
        )


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, in natural order, without hidden files and litter."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError as error:
        raise DataError(
            f"{folder}: the folder must be readable, the system said {error.strerror!r}: "
            "change its permissions, or leave it out"
        ) from error
    shown = [name for name in names if name[0] != "." and name.lower() not in _LITTER]
    return [folder / name for name in sorted(shown, key=natural)]


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if not path.is_dir()]


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in image_suffixes()


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _text(name: str) -> str:
    """A file name as text: composed letters, and bytes that are no UTF-8 written out."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))


# -- the data set ---------------------------------------------------------------------------------


def _check_classes(root: Path, classes: Sequence[_Class], findings: _Findings) -> None:
    names = sorted({each.name for each in classes}, key=natural)
    if not names:
        found = f"{len(findings.loose)} images but no folder" if findings.loose else "no folder"
        raise DataError(
            f"{root}: there must be a folder of images for each class, found {found}: "
            "put the images of each class into a folder of its name"
        )
    for each in classes:
        if not each.files:
            where = f" in {each.split}" if each.split else ""
            raise DataError(
                f"{root}: every class must have images, class {each.name!r} has none{where}: "
                "put images there, or remove the folder"
            )
    if len(names) < 2:
        raise DataError(
            f"{root}: there must be at least two classes to tell apart, found only {names[0]!r}: "
            "add a folder for another class"
        )


def _dataset(
    root: Path, name: str | None, classes: Sequence[_Class], notes: tuple[str, ...]
) -> Dataset:
    names = tuple(sorted({each.name for each in classes}, key=natural))
    index: Mapping[str, int] = {each: number for number, each in enumerate(names)}
    splits = tuple(each.split for each in classes for _ in each.files if each.split is not None)
    labels = [index[each.name] for each in classes for _ in each.files]
    files = tuple(file for each in classes for file in each.files)
    return Dataset(
        name=name or root.resolve().name,
        root=root,
        ids=tuple(_text(file.relative_to(root).as_posix()) for file in files),
        labels={"class": np.array(labels, dtype=np.int64)},
        class_names={"class": names},
        files=files,
        given_split=splits or None,
        notes=notes,
    )


def _notes(root: Path, findings: _Findings) -> Iterator[str]:
    below = {
        "{} that are no images": findings.strays,
        "{} that lie in no class's folder": findings.loose,
        "{} that lead back to themselves": findings.loops,
    }
    for what, paths in below.items():
        if paths:
            kind = "link" if paths is findings.loops else "file"
            yield _note([_text(str(path.relative_to(root))) for path in paths], what, kind)


def _note(names: Sequence[str], what: str, kind: str) -> str:
    count = f"{len(names)} {kind}{'s' if len(names) > 1 else ''}"
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{what.format(count)} left out: {shown}"

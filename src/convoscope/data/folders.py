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
from convoscope.data.decoding import has_image_suffix
from convoscope.data.split_words import split_named
from convoscope.errors import DataError

_NAMED_AT_MOST = 3
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

    unused: list[Path] = field(default_factory=list)
    strays: list[Path] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)

    def note_loose(self, files: Sequence[Path]) -> None:
        """Files that lie beside the folders of classes."""
        for file in files:
            (self.loose if _is_image(file) else self.strays).append(file)


def read_folder(root: Path, *, name: str | None = None) -> Dataset:
    """The images below ``root``, one head ``"class"``; the split is given where folders say it.

    ``name`` is the folder's own where it is not said. Nothing is decoded. An empty folder is a
    class without images, which a data check tells and training refuses.

    Raises:
        DataError: if there is no such folder, no class has any image, there are fewer than two
            classes, or split folders stand where they cannot be understood.
    """
    _check_is_folder(root)
    findings = _Findings()
    top, notes = _descend(root)
    by_split = _split_folders(top)
    if by_split:
        _note_beside(top, by_split, findings)
        classes = [c for s, folder in by_split.items() for c in _classes(folder, s, findings)]
    else:
        classes = list(_classes(top, None, findings))
    _check_classes(root, classes, findings)
    return _dataset(root, name, classes, (*notes, *_notes(root, findings)))


def images_below(root: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Every image below a folder, however deep, in natural order, and notes on what is passed over.

    Raises:
        DataError: if there is no such folder, or it cannot be read.
    """
    _check_is_folder(root)
    findings = _Findings()
    files = _images_below(root, (_identity(root),), findings)
    ordered = sorted(files, key=lambda file: tuple(map(natural, file.relative_to(root).parts)))
    return tuple(ordered), tuple(_notes(root, findings))


def path_text(root: Path, path: Path) -> str:
    """A path below ``root`` with slashes, as text that any file can hold."""
    return _text(path.relative_to(root).as_posix())


def natural(name: str) -> tuple[object, ...]:
    """A key that sorts names as people count: ``img2`` before ``img10``, without regard to case."""
    parts = re.split(r"([0-9]+)", unicodedata.normalize("NFC", name).casefold())
    counted = tuple((int(part), "") if part.isdecimal() else (0, part) for part in parts)
    return counted, name


# -- the layout -----------------------------------------------------------------------------------


def _descend(root: Path) -> tuple[Path, list[str]]:
    """The folder that holds the classes or splits: an archive often unpacks into one more."""
    top, seen = root, {_identity(root)}
    while True:
        folders, files = _listing(top)
        if len(folders) != 1 or split_named(folders[0].name) or any(map(_is_image, files)):
            break
        inner_folders, inner_files = _listing(folders[0])
        if not inner_folders or any(map(_is_image, inner_files)):
            break
        if _identity(folders[0]) in seen:
            break
        top = folders[0]
        seen.add(_identity(top))
    if top == root:
        return top, []
    return top, [f"the classes are the folders in {path_text(root, top)}, the only folder"]


def _split_folders(top: Path) -> dict[SplitName, Path]:
    """The folder of each split; empty if the folders right below ``top`` are classes.

    ``train`` may be a class of vehicles, or ``test`` one of crash pictures: they are splits if they
    hold folders, and either two of them do or no other folder stands beside them.
    """
    folders, _ = _listing(top)
    named = [(split, folder) for folder in folders if (split := split_named(folder.name))]
    nested = [(split, folder) for split, folder in named if _listing(folder)[0]]
    splits = {split for split, _ in nested}
    if len(named) < len(folders) and len(splits) < 2:
        return {}
    if named and not nested:
        raise DataError(
            f"{top}: the split folders must hold a folder of images for each class, got "
            f"{', '.join(_text(folder.name) for _, folder in named)} without folders in them: "
            "put the images of each class into a folder of its name"
        )
    if len(splits) < len(nested):
        raise DataError(
            f"{top}: there must be one folder for each split, got "
            f"{', '.join(_text(folder.name) for _, folder in nested)}: merge those that mean the "
            "same, or rename one"
        )
    return dict(sorted(nested, key=lambda found: SPLIT_NAMES.index(found[0])))


def _note_beside(top: Path, by_split: Mapping[SplitName, Path], findings: _Findings) -> None:
    """What lies beside the split folders, such as unlabelled test images."""
    folders, files = _listing(top)
    findings.unused += [folder for folder in folders if folder not in by_split.values()]
    findings.note_loose(files)


def _classes(top: Path, split: SplitName | None, findings: _Findings) -> Iterator[_Class]:
    """A class for each folder right below ``top``, in natural order."""
    folders, files = _listing(top)
    findings.note_loose(files)
    for folder in folders:
        splits = {split_named(inner.name) for inner in _listing(folder)[0]}
        if splits >= {"train", "test"}:
            raise DataError(
                f"{top}: split folders must stand above the classes, as in "
                f"train/{_text(folder.name)}, got them inside {_text(folder.name)}: "
                "turn the folders round"
            )
        images = sorted(
            _images_below(folder, (_identity(folder),), findings),
            key=lambda file: tuple(map(natural, file.relative_to(top).parts)),
        )
        name = unicodedata.normalize("NFC", _text(folder.name))
        yield _Class(split=split, name=name, files=images)


def _images_below(
    folder: Path, above: tuple[tuple[int, int], ...], findings: _Findings
) -> Iterator[Path]:
    """Every image in a class's folder; a link back to a folder above it is not followed."""
    folders, files = _listing(folder)
    for file in files:
        if _is_image(file):
            yield file
        else:
            findings.strays.append(file)
    for inner in folders:
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


def _listing(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the other entries in a folder, in natural order, without litter."""
    try:
        with os.scandir(folder) as entries:
            found = {entry.name: entry.is_dir() for entry in entries}
    except OSError as error:
        raise DataError(
            f"{folder}: the folder must be readable, the system said {error.strerror!r}: "
            "change its permissions, or take it away"
        ) from error
    shown = [name for name in found if name[0] != "." and name.lower() not in _LITTER]
    shown.sort(key=natural)
    return (
        [folder / name for name in shown if found[name]],
        [folder / name for name in shown if not found[name]],
    )


def _is_image(file: Path) -> bool:
    """By its name alone; not a pipe or a device, which would never end."""
    return has_image_suffix(file) and (file.is_file() or file.is_symlink())


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _text(name: str) -> str:
    """A file name as text that any file can hold: bytes that are no UTF-8 are written out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


# -- the data set ---------------------------------------------------------------------------------


def _check_classes(root: Path, classes: Sequence[_Class], findings: _Findings) -> None:
    names = sorted({each.name for each in classes}, key=natural)
    if not names:
        found = f"{len(findings.loose)} images but no folder" if findings.loose else "no folder"
        raise DataError(
            f"{root}: there must be a folder of images for each class, found {found}: "
            "put the images of each class into a folder of its name"
        )
    if not any(each.files for each in classes):
        raise DataError(
            f"{root}: every class must have images, none of {len(names)} has any: put images into "
            f"the folders, of a kind such as .jpg or .png"
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
        ids=tuple(path_text(root, file) for file in files),
        labels={"class": np.array(labels, dtype=np.int64)},
        class_names={"class": names},
        files=files,
        given_split=splits or None,
        notes=notes,
    )


def _notes(root: Path, findings: _Findings) -> Iterator[str]:
    for paths, thing, why in (
        (findings.unused, "folder", "beside the split folders"),
        (findings.loose, "image", "in no class's folder"),
        (findings.strays, "file", "with no image's name"),
        (findings.loops, "link", "back to a folder above"),
    ):
        if paths:
            names = ", ".join(path_text(root, path) for path in paths[:_NAMED_AT_MOST])
            more = ", ..." if len(paths) > _NAMED_AT_MOST else ""
            plural = "s were" if len(paths) > 1 else " was"
            yield f"{len(paths)} {thing}{plural} left out, {why}: {names}{more}"

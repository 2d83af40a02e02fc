"""Where data comes from: a named set by its name, or files by their path."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from convoscope.data.archive_members import SUFFIXES, archive_name, is_archive
from convoscope.data.archives import source_within, unpack
from convoscope.data.catalogue.choice import named_part, parse
from convoscope.data.catalogue.store import open_chosen
from convoscope.data.catalogue.table import NAMED
from convoscope.data.combined import combined
from convoscope.data.dataset import Dataset
from convoscope.data.folders import read_folder
from convoscope.data.groups import grouped, is_column
from convoscope.data.idx import is_idx_images, read_idx
from convoscope.data.name_labels import read_named
from convoscope.data.npz import read_npz
from convoscope.data.reading import AS_FOUND, Kind, Reading
from convoscope.data.table_files import TABLE_SUFFIXES
from convoscope.data.tables import read_table
from convoscope.errors import ConvoscopeError, DataError, placed, unknown_name


def open_dataset(
    source: str | Path, *, group_by: str | None = None, reading: Reading = AS_FOUND
) -> Dataset:
    """The data set of that name or path; a name always means the named set.

    A name may say which part is meant, see :mod:`convoscope.data.catalogue.choice`. A folder that
    happens to have the same name is ``./digits``, or a :class:`~pathlib.Path`.
    ``group_by`` says which images belong together, see :mod:`convoscope.data.groups`, ``reading``
    what the source does not say itself.

    Raises:
        UnknownNameError: if it is no path and nearly a named set's name, or a column is asked
            for that the table does not have, or a class that the named set does not have.
        DataError: if there is no such folder or file, or it is no data set, or cannot be grouped,
            or a named set is not on this machine.
        SettingsError: if a column is asked for of data that is no table, or ``reading`` says
            something else that this kind of source does not understand.
        StorageError: if an archive finds no room in the cache.
        MissingDependencyError: if a table needs a library that is not installed.
    """
    column = group_by if group_by and is_column(group_by) else None
    dataset = _opened(source, column, reading)
    if reading.combine_labels:
        dataset = combined(dataset)
    return dataset if group_by is None else grouped(dataset, group_by)


def _opened(source: str | Path, group_column: str | None, reading: Reading) -> Dataset:
    """The data set, with its groups only if it is a table."""
    choice = parse(source) if isinstance(source, str) else None
    if choice is not None:
        reading.check(choice.words, "named")
        return open_chosen(choice)
    path = Path(source).expanduser()
    if not path.exists() and _is_misspelt(source):
        raise unknown_name("data set or folder", named_part(str(source)), NAMED)
    try:
        if path.is_file() and is_archive(path):
            return _open_archive(path, group_column, reading)
        return _open_path(path, None, group_column, reading)
    except OSError as error:
        if isinstance(error, ConvoscopeError):
            raise
        raise DataError(
            f"{path}: the data must be readable, the system said {error.strerror!r} of "
            f"{error.filename or 'a file'}: change its permissions, or copy the data elsewhere"
        ) from error


def _open_archive(path: Path, group_column: str | None, reading: Reading) -> Dataset:
    inside = source_within(unpack(path))
    with placed(str(path)):
        return _open_path(inside, archive_name(path), group_column, reading, is_confined=True)


def _open_path(
    path: Path,
    name: str | None,
    group_column: str | None,
    reading: Reading,
    *,
    is_confined: bool = False,
) -> Dataset:
    """The data set of a folder or file by its kind; ``is_confined`` where an archive held it."""
    kind = _kind(path)
    if kind is None:
        raise DataError(
            f"{path}: data must be a folder of images, a table ({', '.join(TABLE_SUFFIXES)}), idx "
            f"files, an .npz file or an archive ({', '.join(SUFFIXES)}), this file is none: "
            "name another one"
        )
    reading.check(str(path), kind)
    if kind == "idx":
        return read_idx(path, name=name)
    if kind == "table":
        return read_table(
            path,
            root=reading.image_root,
            image_column=reading.image_column,
            label_columns=reading.label_column or None,
            split_column=reading.split_column,
            group_column=group_column,
            name=name,
            is_confined=is_confined,
        )
    if kind == "npz":
        return read_npz(
            path, image_shape=reading.image_shape, layout=reading.image_layout, name=name
        )
    if reading.label_pattern is not None:
        return read_named(path, reading.label_pattern, name=name)
    return read_folder(path, name=name)


def _kind(path: Path) -> Kind | None:
    """What kind of source a folder or file is; ``None`` for a file of no known kind."""
    suffix = path.suffix.lower() if path.is_file() else ""
    if _holds_idx(path):
        return "idx"
    if suffix in TABLE_SUFFIXES:
        return "table"
    if suffix == ".npz":
        return "npz"
    return None if path.is_file() else "folder"


def _is_misspelt(source: str | Path) -> bool:
    """Whether this looks like a name with a slip in it, and not like a path."""
    return (
        isinstance(source, str)
        and os.sep not in named_part(source)
        and bool(difflib.get_close_matches(named_part(source), NAMED, n=1))
    )


def _holds_idx(path: Path) -> bool:
    if path.is_dir():
        return any(is_idx_images(file.name) for file in path.iterdir())
    return path.is_file() and is_idx_images(path.name)

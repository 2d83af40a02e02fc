"""Data sets in a table: a CSV, TSV or Parquet file with an image's path and labels in each row.

Paths start from the table's folder. A single label column is the head ``"class"``; several are
heads of their own, and then a label may be missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from convoscope.data.class_indices import check_classes, number_words
from convoscope.data.dataset import Dataset
from convoscope.data.table_files import Table, read_table_file
from convoscope.data.table_images import image_finder, locate
from convoscope.data.table_roles import Roles, find_roles
from convoscope.errors import ConvoscopeError, DataError, LeakError, first_few, placed

_T = TypeVar("_T")
_TRIED = 50


def read_table(
    path: Path,
    *,
    root: Path | None = None,
    image_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    name: str | None = None,
    is_confined: bool = False,
) -> Dataset:
    """The data set in a table; ``name`` is the file's stem where it is not said.

    Columns that are not said are found by their names and values, see
    :mod:`convoscope.data.table_roles`. A row that only repeats another one counts once. The split
    is given where a column says it. ``is_confined`` refuses images outside ``root``.

    Raises:
        UnknownNameError: if a column that is asked for is not there; names the nearest.
        DataError: if the file is no table, images are not there, a label is missing in the only
            label column, there is a single class, or one image has two labels.
        LeakError: if one image is in two splits.
        MissingDependencyError: for a Parquet file, if pyarrow is not installed.
    """
    folder = path.parent if root is None else root
    with placed(str(path)):
        table = read_table_file(path)
        roles = find_roles(
            table,
            folder,
            image_column=image_column,
            label_columns=label_columns,
            split_column=split_column,
            group_column=group_column,
        )
        files = locate(table, roles.image, folder, is_confined=is_confined)
        kept, repeats = _once_each(table, roles, files)
        notes = (*roles.notes, *repeats, *_check_labels(table, roles, kept))
        labels = {column: number_words(_at(table.column(column), kept)) for column in roles.labels}
        for column, (_, class_names) in labels.items():
            check_classes(f"column {column!r}", class_names)
    heads = {"class" if len(labels) == 1 else column: both for column, both in labels.items()}
    splits = None if roles.splits is None else _at(roles.splits, kept)
    notes += _case_doubts({head: names for head, (_, names) in heads.items()})
    ids = tuple(_identity(files[row], folder) for row in kept)
    return Dataset(
        name=name or path.stem,
        root=folder,
        source=path,
        ids=ids,
        labels={head: indices for head, (indices, _) in heads.items()},
        class_names={head: names for head, (_, names) in heads.items()},
        files=_at(files, kept),
        given_split=splits,
        groups=_groups(table, roles, kept, ids),
        notes=notes,
    )


def names_images(path: Path) -> bool:
    """Whether the first rows of a table name images that are there."""
    try:
        table = read_table_file(path)
    except ConvoscopeError:
        return False
    find = image_finder(path.parent)
    return any(
        cell is not None and find(cell) is not None
        for cells in table.columns.values()
        for cell in cells[:_TRIED]
    )


def _once_each(
    table: Table, roles: Roles, files: Sequence[Path]
) -> tuple[list[int], tuple[str, ...]]:
    """The first row of every image; rows that say the same again are left out with a note.

    Raises:
        DataError: if two rows say different things of one image.
        LeakError: if they put it in different splits.
    """
    first: dict[str, int] = {}
    repeated: list[str] = []
    for row, file in enumerate(files):
        earlier = first.setdefault(os.path.normpath(file), row)
        if earlier != row:
            _check_agreement(table, roles, earlier, row)
            repeated.append(table.rows[row])
    if not repeated:
        return list(first.values()), ()
    repeats, counts = ("row repeats", "counts") if len(repeated) == 1 else ("rows repeat", "count")
    note = f"{len(repeated)} {repeats} an earlier one and {counts} once ({first_few(repeated)})"
    return list(first.values()), (note,)


def _check_agreement(table: Table, roles: Roles, earlier: int, row: int) -> None:
    image = table.column(roles.image)[row]
    where = f"{table.rows[earlier]} and {table.rows[row]}"
    if roles.splits and roles.splits[earlier] != roles.splits[row]:
        raise LeakError(
            f"{where}: an image must be in one split, but {image!r} is in "
            f"{roles.splits[earlier]} and in {roles.splits[row]}: delete one of the rows"
        )
    for column in (*roles.labels, *([roles.group] if roles.group else [])):
        one, other = (table.column(column)[place] for place in (earlier, row))
        if one != other:
            raise DataError(
                f"{where}: an image must have one value in column {column!r}, but {image!r} has "
                f"{_said(one)} and {_said(other)}: keep the right row"
            )


def _said(cell: str | None) -> str:
    return "none" if cell is None else repr(cell)


def _check_labels(table: Table, roles: Roles, kept: Sequence[int]) -> tuple[str, ...]:
    """Refuse rows without any label; note the heads where some are missing."""
    unlabelled = [
        table.rows[row]
        for row in kept
        if all(table.column(column)[row] is None for column in roles.labels)
    ]
    if unlabelled:
        raise DataError(
            f"column {' and '.join(map(repr, roles.labels))}: every image needs a label, but "
            f"{len(unlabelled)} of {len(kept)} have none ({first_few(unlabelled)}): fill them in "
            "or delete these rows"
        )
    missing = {
        column: sum(table.column(column)[row] is None for row in kept) for column in roles.labels
    }
    return tuple(
        f"column {column!r} is unknown for {count} of {len(kept)} images"
        for column, count in missing.items()
        if count
    )


def _case_doubts(class_names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A note for classes whose names differ in upper and lower case only."""
    notes = []
    for head, names in class_names.items():
        seen: dict[str, str] = {}
        for name in names:
            earlier = seen.setdefault(name.casefold(), name)
            if earlier != name:
                notes.append(
                    f"{earlier!r} and {name!r} of {head!r} are two classes, though they differ in "
                    "upper and lower case only"
                )
    return tuple(notes)


def _identity(file: Path, root: Path) -> str:
    """The image's path below the root, or its whole path if it lies elsewhere."""
    path = Path(os.path.normpath(file))
    top = os.path.normpath(root)
    return (path.relative_to(top) if path.is_relative_to(top) else path).as_posix()


def _groups(
    table: Table, roles: Roles, kept: Sequence[int], ids: Sequence[str]
) -> tuple[str, ...] | None:
    """The group of each image; an image without one is a group of its own."""
    if roles.group is None:
        return None
    return tuple(
        cell or own for cell, own in zip(_at(table.column(roles.group), kept), ids, strict=True)
    )


def _at(values: Sequence[_T], rows: Sequence[int]) -> tuple[_T, ...]:
    return tuple(values[row] for row in rows)

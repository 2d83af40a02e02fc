"""Which column of a table is what: the image, the labels, the split, the group.

What is asked for is taken; what is not is found by the usual names and by the values, and each
column that was passed over leaves a sentence that says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convoscope.data.dataset import SplitName
from convoscope.data.decoding import has_image_suffix
from convoscope.data.split_words import plain, split_named
from convoscope.data.table_files import Cells, Table
from convoscope.data.table_images import image_finder
from convoscope.errors import DataError

_IMAGE_NAMES = (
    "path", "filepath", "file", "filename", "imagepath", "imagefile", "imagefilename", "imagename",
    "image", "img", "imgpath", "imgname", "picture", "photo", "imageid", "id",
)  # fmt: skip
_LABEL_NAMES = {
    "label", "labels", "labelname", "class", "classes", "classname", "category", "categoryname",
    "target", "y", "species", "breed", "diagnosis",
}  # fmt: skip
_SPLIT_NAMES = {"split", "set", "subset", "partition", "phase", "fold", "usage", "dataset"}
_FLAGS: Mapping[str, SplitName] = {
    "isvalid": "validation",
    "isval": "validation",
    "isvalidation": "validation",
    "istest": "test",
}
_YES_NO: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
_GROUP = re.compile(r"(group|patient|subject|individual|animal|video|session|participant)(id)?")
_MEASUREMENTS = {
    "width", "height", "channels", "filesize", "bytes", "size", "xmin", "xmax", "ymin", "ymax",
    "left", "top", "right", "bottom", "age", "latitude", "longitude", "year",
}  # fmt: skip
_FOLDS = {"fold", "folds", "kfold"}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_TRIED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Names of columns; ``splits`` has the split of each row. ``notes`` say what was left out."""

    image: str
    labels: tuple[str, ...]
    split: str | None
    splits: tuple[SplitName, ...] | None
    group: str | None
    notes: tuple[str, ...]


def find_roles(
    table: Table,
    root: Path,
    *,
    image_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
) -> Roles:
    """What each column is; ``root`` is the folder that paths start from.

    Raises:
        UnknownNameError: if a column that is asked for is not there; names the nearest.
        DataError: if no column can be the image or the label, one is asked for twice, or a
            split is none that is known.
    """
    asked = [image_column, *(label_columns or ()), split_column, group_column]
    for number, name in enumerate(asked):
        if name is not None:
            table.column(name)
            if name in asked[:number]:
                raise DataError(
                    f"a column can be one thing only, but {name!r} is asked for twice: "
                    "say another column"
                )
    taken = {name for name in asked if name is not None}
    image = image_column or _image_column(table, root, taken)
    taken.add(image)
    split, splits = _split(table, split_column, taken)
    taken |= {split} if split else set()
    group = group_column or _group_column(table, taken)
    taken |= {group} if group else set()
    notes: tuple[str, ...] = ()
    if label_columns is None:
        labels, notes = _label_columns(table, taken)
    else:
        labels = _asked_labels(table, label_columns)
    if group and not group_column:
        notes += (f"images with the same {group!r} are one group and stay in one split",)
    return Roles(image=image, labels=labels, split=split, splits=splits, group=group, notes=notes)


def _image_column(table: Table, root: Path, taken: set[str]) -> str:
    """The column with a usual name whose cells are files; else any whose cells are files."""
    free = [name for name in table.columns if name not in taken]
    named = [name for usual in _IMAGE_NAMES for name in free if plain(name) == usual]
    find = image_finder(root)
    for name in dict.fromkeys([*named, *free]):
        cells = [cell for cell in table.columns[name] if cell is not None][:_TRIED]
        # A column of another name must say whole file names: "3" may be a class and not 3.png.
        tried = [cell for cell in cells if name in named or has_image_suffix(cell)]
        found = sum(find(cell) is not None for cell in tried)
        if found and (name in named or found > len(cells) / 2):
            return name
    if named and plain(named[0]) not in ("id", "imageid"):
        return named[0]
    for name in table.other:
        if plain(name) in _IMAGE_NAMES:
            table.column(name)  # raises: pictures inside the table
    raise DataError(
        f"one column must name image files, given from {root} on, but none of "
        f"{', '.join(map(repr, table.columns))} does: call it 'path', or say "
        "--image-column (image_column=)"
    )


# -- split and group ------------------------------------------------------------------------------


def _split(
    table: Table, asked: str | None, taken: set[str]
) -> tuple[str | None, tuple[SplitName, ...] | None]:
    """The column of splits and the split of each row; (None, None) if there is none."""
    if asked is not None:
        return asked, _splits(table, asked)
    for name, cells in table.columns.items():
        if name in taken:
            continue
        words = {cell for cell in cells if cell is not None}
        is_named = plain(name) in _SPLIT_NAMES
        are_splits = bool(words) and all(split_named(word) for word in words)
        if are_splits and (is_named or len({split_named(word) for word in words}) > 1):
            return name, _splits(table, name)
        is_flag = plain(name) in _FLAGS and {word.casefold() for word in words} <= set(_YES_NO)
        if plain(name) == "split" or (is_flag and words):
            return name, _splits(table, name)
    return None, None


def _splits(table: Table, column: str) -> tuple[SplitName, ...]:
    """The split of each row, by a word or by a yes to ``is_valid``."""
    found: list[SplitName] = []
    for row, cell in zip(table.rows, table.column(column), strict=True):
        split = _split_of(column, cell)
        if split is None:
            raise DataError(
                f"column {column!r}, {row}: a split must be train, validation or test, got "
                f"{'nothing' if cell is None else repr(cell)}: write one of them, or say another "
                "--split-column (split_column=)"
            )
        found.append(split)
    return tuple(found)


def _split_of(column: str, cell: str | None) -> SplitName | None:
    if cell is None:
        return None
    flag = _FLAGS.get(plain(column))
    if flag is not None and cell.casefold() in _YES_NO:
        return flag if _YES_NO[cell.casefold()] else "train"
    return split_named(cell)


def _group_column(table: Table, taken: set[str]) -> str | None:
    """A column named such as ``patient_id`` whose values repeat."""
    for name, cells in table.columns.items():
        known = [cell for cell in cells if cell is not None]
        repeats = 1 < len(set(known)) < len(known)
        if name not in taken and repeats and _GROUP.fullmatch(plain(name)):
            return name
    return None


# -- labels ---------------------------------------------------------------------------------------


def _asked_labels(table: Table, asked: Iterable[str]) -> tuple[str, ...]:
    names = tuple(asked)
    if not names:
        raise DataError("label_columns must name a column, got none: say which column is the label")
    for name in names:
        if not any(table.column(name)):
            raise DataError(
                f"column {name!r}: labels must be words or numbers, but all cells are empty: "
                "fill them in, or say another column"
            )
    return names


def _label_columns(table: Table, taken: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns whose values are classes, and a sentence for each other one."""
    labels: list[str] = []
    notes: list[str] = []
    for name, cells in table.columns.items():
        if name in taken:
            continue
        reason = _why_no_label(name, cells)
        if reason is None:
            labels.append(name)
        else:
            notes.append(f"column {name!r} is no label: {reason}")
    for name, twin in _twins(table, labels).items():
        labels.remove(name)
        notes.append(f"column {name!r} is no label: it says what {twin!r} says in other words")
    if not labels:
        raise DataError(
            f"one column must be the label, but {'; '.join(notes) or 'there is no other column'}: "
            "add a column called 'label', or say --label-column (label_columns=)"
        )
    return tuple(labels), tuple(notes)


def _why_no_label(name: str, cells: Cells) -> str | None:
    """Why the values of a column are no classes; None if they are."""
    known = [cell for cell in cells if cell is not None]
    different = set(known)
    is_named = plain(name) in _LABEL_NAMES
    if not known:
        return "all its cells are empty"
    if len(different) < 2 and not is_named:
        return f"all its cells are {known[0]!r}"
    are_numbers = all(_NUMBER.fullmatch(cell) for cell in different)
    if are_numbers and plain(name) in _FOLDS:
        return "it numbers folds"
    fractions = [cell for cell in known if not re.fullmatch(r"[-+]?\d+", cell)]
    if are_numbers and (fractions or plain(name) in _MEASUREMENTS):
        return f"it holds measurements such as {(fractions or known)[0]}"
    if not is_named and len(different) > len(known) / 2:
        return f"its values hardly repeat ({len(different)} different ones in {len(known)} rows)"
    return None


def _twins(table: Table, labels: Sequence[str]) -> dict[str, str]:
    """Columns that only rename another one's classes, with that one: ``class_id`` of ``class``."""
    twins: dict[str, str] = {}
    wordy = sorted(labels, key=lambda name: _is_numbered(table.columns[name]))
    for place, name in enumerate(wordy):
        for earlier in wordy[:place]:
            pairs = set(zip(table.columns[earlier], table.columns[name], strict=True))
            sizes = {len(set(table.columns[column])) for column in (earlier, name)}
            if earlier not in twins and sizes == {len(pairs)}:
                twins[name] = earlier
                break
    return twins


def _is_numbered(cells: Cells) -> bool:
    return all(cell is None or _NUMBER.fullmatch(cell) for cell in cells)

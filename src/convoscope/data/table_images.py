"""From the cells of a table's path column to image files."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from convoscope.data.decoding import image_suffixes
from convoscope.data.table_files import Table
from convoscope.errors import DataError, first_few

Finder: TypeAlias = Callable[[str], Path | None]

_INNER_AT_MOST = 20


def image_finder(root: Path) -> Finder:
    """A function from a cell to the file it means, or None.

    A cell is a path below ``root`` or an absolute one; a file that is not there is looked for in
    the folders right below ``root``, and counts if one of them only has it. Backslashes may stand
    for slashes, letters may be composed or not, and the suffix may be left out where only one
    image bears the name.
    """
    stems: dict[str, dict[str, list[str]]] = {}
    try:
        inner = [entry.path for entry in os.scandir(root) if entry.is_dir()]
    except OSError:
        inner = []
    starts = inner if len(inner) <= _INNER_AT_MOST else []

    def find(cell: str) -> Path | None:
        slashed = cell.replace("\\", "/")
        composed = (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))
        texts = tuple(dict.fromkeys((cell, slashed, *composed)))
        direct = _find_below(str(root), texts, stems)
        if direct is not None:
            return direct
        below = [file for start in starts if (file := _find_below(start, texts, stems))]
        return below[0] if len(below) == 1 else None

    return find


def _find_below(
    start: str, texts: Sequence[str], stems: dict[str, dict[str, list[str]]]
) -> Path | None:
    """The file that one of the texts names from ``start`` on; ``stems`` remembers folders."""
    for text in texts:
        path = os.path.join(start, text)  # noqa: PTH118 - a hundred thousand times
        if os.path.isfile(path):  # noqa: PTH113
            return Path(path)
        folder, stem = os.path.split(path)
        if folder not in stems:
            stems[folder] = _images_by_stem(folder)
        named = stems[folder].get(stem, [])
        if len(named) == 1:
            return Path(folder, named[0])
    return None


def _images_by_stem(folder: str) -> dict[str, list[str]]:
    """The names of the images in a folder, by what stands before the suffix."""
    found: dict[str, list[str]] = defaultdict(list)
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except (OSError, ValueError):
        return {}
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        if suffix.lower() in image_suffixes():
            found[stem].append(name)
    return found


def locate(table: Table, column: str, root: Path, *, is_confined: bool) -> tuple[Path, ...]:
    """The image file of every row.

    ``is_confined`` refuses files that do not lie below ``root``: a table from an archive has no
    business elsewhere.

    Raises:
        DataError: if a row names no image, or one that is not there; names the first and counts.
    """
    cells = table.column(column)
    empty = [row for row, cell in zip(table.rows, cells, strict=True) if cell is None]
    if empty:
        raise DataError(
            f"column {column!r}: every row must name an image, but {first_few(empty)} "
            f"{'is' if len(empty) == 1 else 'are'} empty: fill in the paths or delete the rows"
        )
    find = image_finder(root)
    files = [find(cell) for cell in cells if cell is not None]
    missing = [
        f"{cell!r} ({row})"
        for row, cell, file in zip(table.rows, cells, files, strict=True)
        if file is None
    ]
    if missing:
        raise DataError(
            f"column {column!r}: every image must be a file, given from {root} on, but "
            f"{len(missing)} of {len(table)} are not there: {first_few(missing)}: {_advice(cells)}"
        )
    found = tuple(file for file in files if file is not None)
    if is_confined:
        _check_below(root, found, table.rows)
    return found


def _advice(cells: Sequence[str | None]) -> str:
    if any("://" in cell for cell in cells if cell):
        return "download the images and write their paths into the table"
    return "put them there, mend the paths, or say --image-root (root=) if they lie elsewhere"


def _check_below(root: Path, files: Sequence[Path], rows: Sequence[str]) -> None:
    place = root.resolve()
    for file, row in zip(files, rows, strict=True):
        if not file.resolve().is_relative_to(place):
            raise DataError(
                f"{row}: a table from an archive may only name images of that archive, but this "
                f"is {file}: unpack the archive yourself if you trust it"
            )

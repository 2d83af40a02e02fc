"""Tables as files hold them - CSV, TSV, Parquet - read into columns of words.

A cell is its text without spaces around it, or None where it is empty or says that nothing is
known (``NaN``, ``NA``, ``null``, ...; but ``none`` is a word, for defects and lesions have it as
a class). Parquet's numbers become the words that a CSV would have for them.
"""

from __future__ import annotations

import csv
import importlib
import io
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from convoscope.data.decoding import has_image_suffix
from convoscope.errors import DataError, MissingDependencyError, unknown_name

Cells: TypeAlias = tuple[str | None, ...]

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")

_MISSING = {"", "nan", "na", "n/a", "#n/a", "<na>", "null", "nat"}
_DELIMITERS = ",;\t|"
_SAMPLE = 20
_WHOLE = re.compile(r"-?\d+(\.0+)?")
_INDEX = re.compile(r"__index_level_\d+__")  # what pandas calls an index without a name
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """N rows by named columns; ``rows`` (N) says where each stands: ``line 3``, ``row 2``.

    ``other`` are columns that hold no words (pictures, lists, ...), with their type.
    """

    columns: Mapping[str, Cells]
    rows: tuple[str, ...]
    other: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Cells:
        """The cells of a column.

        Raises:
            UnknownNameError: if there is none; names the nearest.
            DataError: if it holds no words.
        """
        if name in self.other:
            raise DataError(
                f"column {name!r} must hold words or numbers, but has values of type "
                f"{self.other[name]}: save images as files and their paths in the table"
            )
        if name not in self.columns:
            raise unknown_name("column", name, self.columns)
        return self.columns[name]


def read_table_file(path: Path) -> Table:
    """The table in a ``.parquet`` file, or in a text file with a header line and a delimiter.

    The delimiter is a comma, semicolon, tab or ``|``, whichever the lines agree on.

    Raises:
        DataError: if the file is no table, has no header, no rows, or rows of unequal length.
        MissingDependencyError: for a Parquet file, if pyarrow is not installed.
    """
    table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path)
    if not len(table):
        raise DataError("a table must have rows, but this one has only a header: fill it in")
    return table


def _read_text(path: Path) -> Table:
    text = _decoded(path)
    delimiter = _delimiter(text, "\t" if path.suffix.lower() == ".tsv" else ",")
    reader = _reader(text, delimiter, strict=True)
    records: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                records.append((start, [cell.strip() for cell in record]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"line {start}: a cell that holds a delimiter, a quote or a line break must stand in "
            f"double quotes, but there is a fault in them ({error}): mend the quotes"
        ) from error
    if not records:
        raise DataError("a table must have a header and rows, but the file is empty: fill it in")
    return _table(records[0][1], records[1:])


def _reader(text: str, delimiter: str, *, strict: bool) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)


def _decoded(path: Path) -> str:
    """The file's text: UTF-8, or UTF-16 where it begins with that mark."""
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"line {line}: a table must be UTF-8 text, but there is the byte "
            f"0x{content[error.start]:02x} ({error.reason}): save it as CSV UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"line {line}: a table must be text, but there is a zero byte, as in spreadsheets and "
            "archives: save it as CSV UTF-8"
        )
    return text


def _delimiter(text: str, usual: str) -> str:
    """The character that cuts the first lines into most cells, equally many in each."""
    best, best_score = usual, (False, 1)
    for delimiter in sorted(_DELIMITERS, key=lambda sign: sign != usual):
        records = itertools.islice(_reader(text, delimiter, strict=False), _SAMPLE)
        try:
            widths = [len(record) for record in records if record]
        except csv.Error:
            continue
        score = (len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _table(header: Sequence[str], body: Sequence[tuple[int, list[str]]]) -> Table:
    """Columns out of records; the header's names are checked, and each record's length."""
    for cell in header:
        if has_image_suffix(cell):
            raise DataError(
                f"line 1: the first line must name the columns, but it holds the image {cell!r}: "
                "put a header such as 'path,label' above it"
            )
    names = [name or f"column {number}" for number, name in enumerate(header, 1)]
    _check_different(names)
    for line, record in body:
        if len(record) < len(names) or any(record[len(names) :]):
            raise DataError(
                f"line {line}: every row must have the {len(names)} cells of the header, this one "
                f"has {len(record)}: fill it in, or quote cells that hold the delimiter"
            )
    columns = {
        name: _plain_numbers([_cell(record[place]) for _, record in body])
        for place, name in enumerate(names)
    }
    return Table(
        columns={
            name: cells
            for name, cells, asked in zip(columns, columns.values(), header, strict=True)
            if asked or any(cells)
        },
        rows=tuple(f"line {line}" for line, _ in body),
        other={},
    )


def _check_different(names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(
                f"every column must have a name of its own, but {count} are called {name!r}: "
                "rename them"
            )


def _cell(text: str) -> str | None:
    return None if text.casefold() in _MISSING else text


def _plain_numbers(cells: Sequence[str | None]) -> Cells:
    """``1.0`` as ``1`` where all are whole: that is what a gap in a column makes of integers."""
    if all(cell is None or _WHOLE.fullmatch(cell) for cell in cells):
        return tuple(None if cell is None else cell.partition(".")[0] for cell in cells)
    return tuple(cells)


def _read_parquet(path: Path) -> Table:
    try:
        pyarrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            "reading Parquet needs pyarrow, which is not installed: run  "
            "pip install 'convoscope[tables]'  or save the table as CSV"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            fields = [field for field in file.schema_arrow if not _INDEX.fullmatch(field.name)]
            _check_different([field.name for field in fields])
            other = {f.name: str(f.type) for f in fields if not _holds_words(pyarrow.types, f.type)}
            content = file.read(columns=[f.name for f in fields if f.name not in other])
            rows = file.metadata.num_rows
        columns = {
            name: tuple(map(_word, content.column(name).to_pylist()))
            for name in content.column_names
        }
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        raise DataError(
            f"a .parquet file must be whole and in Parquet format, but this one cannot be read "
            f"({' '.join(str(error).split())}): write it again, or save the table as CSV"
        ) from error
    return Table(
        columns=columns, rows=tuple(f"row {number}" for number in range(1, rows + 1)), other=other
    )


def _holds_words(types: Any, kind: Any) -> bool:
    """Whether values of an Arrow type can be written as a word."""
    if types.is_dictionary(kind):
        return _holds_words(types, kind.value_type)
    is_binary = types.is_binary(kind) or types.is_large_binary(kind)
    is_fixed = types.is_fixed_size_binary(kind) or types.is_binary_view(kind)
    return not (types.is_nested(kind) or is_binary or is_fixed)


def _word(value: object) -> str | None:
    """A value of a Parquet column as a CSV would write it; a whole float as a whole number."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _cell(str(value).strip())

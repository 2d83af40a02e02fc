"""Tables as files: delimiters, encodings, quotes, missing values, Parquet."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoscope.data.table_files import Table, read_table_file
from convoscope.errors import DataError, MissingDependencyError, UnknownNameError


def read(folder: Path, content: str | bytes, name: str = "t.csv") -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table_file(path)


def parquet(folder: Path, **columns: object) -> Path:
    path = folder / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_rows_know_their_lines(tmp_path: Path) -> None:
    table = read(tmp_path, 'path,label\n\na.png,"two\nlines"\n , \nb.png,cat\n')
    assert table.columns == {"path": ("a.png", "b.png"), "label": ("two\nlines", "cat")}
    assert table.rows == ("line 3", "line 6")
    assert len(table) == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str, name: str) -> None:
    rows = [["path", "a label"], ["a,b.png", "1;5"], ["c.png", "x"]]
    text = "\r\n".join(
        delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows
    )
    table = read(tmp_path, text, name)
    assert table.columns == {"path": ("a,b.png", "c.png"), "a label": ("1;5", "x")}


def test_decimal_commas_do_not_mislead(tmp_path: Path) -> None:
    assert list(read(tmp_path, "path;score\na.png;0,5\nb.png;1\n").columns) == ["path", "score"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_of_spreadsheets(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join(["path,label", "ä.png,schön"])
    table = read(tmp_path, text.encode(encoding))
    assert table.columns == {"path": ("ä.png",), "label": ("schön",)}


@pytest.mark.parametrize("word", ["", " ", "NaN", "nan", "NA", "n/a", "#N/A", "null", "<NA>"])
def test_words_for_nothing_are_missing(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, f"p,q\na,{word}\n").column("q") == (None,)


@pytest.mark.parametrize("word", ["none", "None", "nano", "0", "-"])
def test_words_that_may_be_classes_are_kept(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, f"p,q\na,{word}\n").column("q") == (word,)


def test_whole_numbers_lose_their_point_and_others_stay(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b,c\n1.0,1.5,01\n,2.0,02\n-3.00,3.0,x\n")
    assert table.columns == {
        "a": ("1", None, "-3"),
        "b": ("1.5", "2.0", "3.0"),
        "c": ("01", "02", "x"),
    }


def test_columns_without_name_are_numbered_or_dropped(tmp_path: Path) -> None:
    table = read(tmp_path, ",path,label,\n0,a.png,cat,\n1,b.png,dog,\n")
    assert list(table.columns) == ["column 1", "path", "label"]


cells = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=6
).map(lambda text: "x" + text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=6), st.sampled_from(",;\t|"))
def test_what_a_csv_writer_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], delimiter: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([("one", "two", "three"), *rows])
    table = read(tmp_path_factory.getbasetemp(), text.getvalue(), "any.csv")
    assert list(table.columns) == ["one", "two", "three"]
    assert list(zip(*table.columns.values(), strict=True)) == rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "a table must have a header and rows, but the file is empty"),
        ("\n \n", "the file is empty: fill it in"),
        ("path,label\n", "must have rows, but this one has only a header"),
        ("a.jpg,cat\nb.jpg,dog\n", r"line 1: .* holds the image 'a\.jpg': put a header such as"),
        ("p,q\na,b\nc\n", "line 3: every row must have the 2 cells of the header, this one has 1"),
        ("p,q\na,b,c\n", "line 2: every row must have the 2 cells of the header, this one has 3"),
        ("p,q,p\na,b,c\n", "name of its own, but 2 are called 'p': rename them"),
        ('p,q\na,"b\nc,d\n', r"line 2: .* fault in them \(unexpected end of data\): mend the quo"),
        ("p,q\na,sch\xf6n\n".encode("latin-1"), r"line 2: a table must be UTF-8 .* byte 0xf6 \(in"),
        (b"PK\x03\x04\0\0", "line 1: a table must be text, but there is a zero byte"),
    ],
)
def test_what_is_no_table_is_one_sentence(
    tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, content)


def test_an_unknown_column_names_the_nearest(tmp_path: Path) -> None:
    table = read(tmp_path, "path,label\na,b\n")
    with pytest.raises(UnknownNameError, match="no column 'lable': did you mean 'label'"):
        table.column("lable")


def test_parquet_gives_the_words_of_a_csv(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        path=["a.png", "b.png", " "],
        number=pyarrow.array([1.0, None, float("nan")]),
        score=[0.5, 2.0, 3.25],
        flag=[True, False, None],
        kind=pyarrow.array(["x", "y", "x"]).dictionary_encode(),
        image=[b"\xff", b"", b""],
        sizes=[[1], [2], []],
        __index_level_0__=[7, 8, 9],
    )
    table = read_table_file(path)
    assert table.columns == {
        "path": ("a.png", "b.png", None),
        "number": ("1", None, None),
        "score": ("0.5", "2", "3.25"),
        "flag": ("True", "False", None),
        "kind": ("x", "y", "x"),
    }
    assert table.rows == ("row 1", "row 2", "row 3")
    assert table.other == {"image": "binary", "sizes": "list<element: int64>"}
    with pytest.raises(DataError, match=r"column 'image' must hold words .* values of type binary"):
        table.column("image")


def test_parquet_without_rows_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have rows"):
        read_table_file(parquet(tmp_path, path=pyarrow.array([], pyarrow.string())))


@pytest.mark.parametrize("cut", [0, 3, 100])
def test_a_broken_parquet_file_is_one_sentence(tmp_path: Path, cut: int) -> None:
    path = parquet(tmp_path, path=["a.png"] * 50)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"\.parquet file must be whole .* save the table as CSV$"):
        read_table_file(path)


def test_without_pyarrow_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = parquet(tmp_path, path=["a.png"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"needs pyarrow, .* 'convoscope\[tables\]'"):
        read_table_file(path)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_parquet_file_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[float, int]]
) -> None:
    path = parquet(tmp_path_factory.getbasetemp(), path=["a.png", "b.png"], label=["ä", "b"])
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[int(place * (len(content) - 1))] = value
    path.write_bytes(content)
    found = "read"
    try:
        table = read_table_file(path)
    except DataError as error:
        found = str(error)
    else:
        assert all(len(cells) == len(table) for cells in table.columns.values())
    assert "\n" not in found

"""A filter is named, written or kept in a file; what is none is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convoscope.errors import SettingsError, UnknownNameError
from convoscope.jobs.kernels import KERNELS, checked_kernel, parse_kernel, read_kernel


def test_named_filters_are_what_they_are_called() -> None:
    values = {name: read_kernel(name)[1] for name in KERNELS}
    sobel_x, sobel_y = values["sobel-x"], values["sobel-y"]
    assert sobel_x is not None
    assert sobel_y is not None
    np.testing.assert_array_equal(sobel_x, sobel_y.T)
    sums = {name: float(v.sum()) for name, v in values.items() if v is not None}
    assert sums == pytest.approx(
        {"sobel-x": 0, "sobel-y": 0, "laplacian": 0, "sharpen": 1, "blur": 1}
    )


def test_kaiming_is_drawn_later() -> None:
    assert read_kernel("kaiming") == ("kaiming", None)


@pytest.mark.parametrize(
    "text", ["1 0 -1; 2 0 -2; 1 0 -1", "1,0,-1\n2,0,-2\n1, 0, -1\n", "1 0 -1;2 0 -2;1 0 -1;"]
)
def test_rows_are_read(text: str) -> None:
    assert parse_kernel(text).tolist() == [[1, 0, -1], [2, 0, -2], [1, 0, -1]]


def test_fractions_even_sizes_and_a_single_number_are_read() -> None:
    assert parse_kernel("1/4 1/4; .25 1/4").tolist() == [[0.25, 0.25], [0.25, 0.25]]
    assert parse_kernel("-2").tolist() == [[-2]]


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "edge.txt"
    file.write_text("1 -1\n1 -1\n")
    name, values = read_kernel(str(file))
    assert name == "edge"
    assert values is not None
    assert values.tolist() == [[1, -1], [1, -1]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2 3; 4 5; 6 7 8", "must be equally long, got rows of 3, 2, 3 numbers"),
        ("1 2 3; 4 5 6", r"must be a square of numbers, got an array of shape \(2, 3\)"),
        ("1 x; 2 3", "is made of numbers such as -1, 0.5 or 1/9, got 'x'"),
        ("1 1/0; 2 3", "got '1/0'"),
        ("1 nan; 2 3", "must hold finite numbers, got nan in row 0, column 1"),
        ("1 2; 1e999 3", "got inf in row 1, column 0"),
        ("  ", "--filter must name a filter or give its rows"),
    ],
)
def test_what_is_no_filter_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        read_kernel(text)


def test_an_unknown_name_has_its_nearest() -> None:
    with pytest.raises(UnknownNameError, match="filter or file 'sobel': did you mean 'sobel-y'"):
        read_kernel("sobel")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(SettingsError, match=r"cat.png: a filter's file must be text"):
        read_kernel(str(tmp_path / "cat.png"))


def test_an_array_must_be_square() -> None:
    with pytest.raises(SettingsError, match=r"got an array of shape \(3, 3, 3\)"):
        checked_kernel(np.zeros((3, 3, 3)))
    with pytest.raises(SettingsError, match=r"got an array of shape \(0, 0\)"):
        checked_kernel(np.zeros((0, 0)))

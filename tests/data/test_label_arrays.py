"""Labels as numbers, words or one-hot rows give the same classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoscope.arrays import Array
from convoscope.data.label_arrays import as_labels
from convoscope.errors import DataError


@given(st.lists(st.integers(0, 12), min_size=1, max_size=30))
def test_numbers_floats_and_words_agree(labels: list[int]) -> None:
    expected = [str(label) for label in labels]
    for array in (np.array(labels), np.array(labels, float), np.array(expected)):
        for part in (array, array[:, None]):
            indices, names = as_labels([part])
            assert [names[i] for i in indices] == expected
            assert list(names) == sorted(set(expected), key=int)
            assert indices.dtype == np.int64


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_one_hot_rows_are_their_column(labels: list[int]) -> None:
    for kind in (bool, np.uint8, np.float32):
        indices, names = as_labels([np.eye(5, dtype=kind)[labels]])
        assert indices.tolist() == labels
        assert names == ("0", "1", "2", "3", "4")


def test_parts_share_their_classes() -> None:
    indices, names = as_labels([np.array([b"ibis", b"crab"]), np.array(["emu "])])
    assert (indices.tolist(), names) == ([2, 0, 1], ("crab", "emu", "ibis"))


def test_bools_are_two_classes() -> None:
    assert as_labels([np.array([True, False])])[1] == ("0", "1")


def test_class_names_belong_to_the_numbers() -> None:
    indices, names = as_labels([np.array([2, 0])], class_names=np.array(["a", "b", "c"]))
    assert (indices.tolist(), names) == ([2, 0], ("a", "b", "c"))


def test_unknown_labels_are_kept_where_they_may_be_missing() -> None:
    indices, names = as_labels([np.array([-1, 4, -9])], may_miss=True)
    assert (indices.tolist(), names) == ([-1, 0, -1], ("4",))
    indices, _ = as_labels([np.array(["", "a"])], may_miss=True)
    assert indices.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([np.array([3, -1])], r"but 1 of 2 have none .* the first is number 1: fill them in"),
        ([np.array(["", "b"])], r"1 of 2 have none \(below 0, or empty\), the first is number 0"),
        ([np.array([0.5, 1])], r"got float64 of shape \(2,\) with 1 values such as 0\.5"),
        ([np.array([1, np.nan])], r"got float64 of shape \(2,\) with 1 values such as nan"),
        ([np.array(3)], r"got int64 of shape \(\)"),
        ([np.zeros((2, 2, 2))], r"got float64 of shape \(2, 2, 2\)"),
        ([np.array([[1, 1, 0], [1, 0, 0]])], r"one-hot, .* but row 0 is \[1, 1, 0\]: save one who"),
        ([np.array([[0.2, 0.8]])], r"but row 0 is \[0\.2, 0\.8\]"),
        ([np.array([1]), np.array(["a"])], "of one kind, got whole numbers and words"),
        ([np.eye(2), np.eye(3)], "got one-hot rows of 2 and one-hot rows of 3"),
    ],
)
def test_what_cannot_be_labels_is_one_sentence(parts: list[Array], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        as_labels(parts)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "a"]])
def test_class_names_must_be_enough_and_different(names: list[str]) -> None:
    with pytest.raises(DataError, match=r"one for each label 0 to 2, got \d: a, b.*save a name"):
        as_labels([np.array([2, 0])], class_names=np.array(names))

from dataclasses import replace

import numpy as np
import pytest
from tests.data.conftest import decoded_of

from convoscope.data.combined import combined
from convoscope.data.dataset import Dataset
from convoscope.errors import DataError


def two_heads(first: list[int], second: list[int]) -> Dataset:
    dataset = decoded_of({"size": first, "hue": second}).dataset
    names = {"size": ("small", "large"), "hue": ("red", "blue", "green")}
    return replace(dataset, class_names=names)


def test_each_combination_that_occurs_is_a_class() -> None:
    dataset = combined(two_heads([0, 1, 0, 1], [2, 0, 2, 1]))
    assert dataset.class_names == {"class": ("small_green", "large_red", "large_blue")}
    assert dataset.labels["class"].tolist() == [0, 1, 0, 2]
    assert dataset.factors == {
        "class": {"size": ("small", "large", "large"), "hue": ("green", "red", "blue")}
    }


def test_an_image_that_lacks_a_label_has_no_class() -> None:
    dataset = combined(two_heads([0, 1, -1, 0], [0, 1, 1, -1]))
    assert dataset.labels["class"].tolist() == [0, 1, -1, -1]
    assert dataset.labels["class"].dtype == np.int64


def test_a_single_head_cannot_be_combined() -> None:
    with pytest.raises(DataError, match=r"there must be several, it has only class: leave --comb"):
        combined(decoded_of([0, 1]).dataset)


def test_one_combination_is_nothing_to_tell_apart() -> None:
    with pytest.raises(DataError, match=r"at least two combinations of size, hue .* found 1: add"):
        combined(two_heads([0, 0], [1, 1]))

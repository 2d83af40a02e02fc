"""Classes of other data are matched by their names, never by their numbers."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope.data.dataset import Dataset
from convoscope.errors import DataError, UnknownNameError
from convoscope.jobs.evaluate import matched_labels, split_name


def dataset(**heads: tuple[tuple[str, ...], list[int]]) -> Dataset:
    """Three images in memory, labelled per head."""
    return Dataset(
        name="d",
        root=None,
        ids=("a", "b", "c"),
        labels={head: np.array(labels) for head, (_, labels) in heads.items()},
        class_names={head: names for head, (names, _) in heads.items()},
        pixels=np.zeros((3, 2, 2, 1), np.uint8),
    )


def test_labels_take_the_network_s_order_and_unknown_ones_stay_unknown() -> None:
    data = dataset(**{"class": (("cat", "dog"), [0, 1, -1])})
    labels = matched_labels(data, {"class": ("ape", "dog", "cat")})
    assert labels["class"].tolist() == [2, 1, -1]


def test_a_head_that_the_data_does_not_label_is_unknown_throughout() -> None:
    data = dataset(angle=(("0", "15"), [0, 1, 1]))
    labels = matched_labels(data, {"angle": ("0", "15"), "colour": ("red", "blue")})
    assert labels["colour"].tolist() == [-1, -1, -1]
    assert labels["angle"].tolist() == [0, 1, 1]


def test_an_unknown_class_names_the_nearest() -> None:
    data = dataset(**{"class": (("cat", "dogs"), [0, 1, 1])})
    with pytest.raises(UnknownNameError, match="no class of this run 'dogs': did you mean 'dog'"):
        matched_labels(data, {"class": ("cat", "dog")})


def test_data_that_labels_no_head_of_the_run_is_refused() -> None:
    data = dataset(species=(("cat", "dog"), [0, 1, 1]))
    with pytest.raises(DataError, match=r"one of the run's heads \(class\), it labels species"):
        matched_labels(data, {"class": ("cat", "dog")})


@pytest.mark.parametrize(
    ("data", "name"),
    [("more photos", "more-photos"), ("test", "data-test"), ("../x", "x"), ("...", "data")],
)
def test_the_file_is_named_after_the_data(data: str, name: str) -> None:
    assert split_name(data) == name

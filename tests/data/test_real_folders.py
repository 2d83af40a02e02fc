"""The data floor on photographs: Caltech-101's own splits, duplicates and gray pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convoscope.data.cache import Decoded, decode
from convoscope.data.dataset import SPLIT_NAMES
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.sources import open_dataset
from convoscope.data.splits import make_splits, read_splits, write_splits

pytestmark = pytest.mark.slow

PHOTOGRAPHS = Preprocessing(size=(224, 224))


@pytest.fixture(scope="module")
def decoded(shared: Callable[[str], Path]) -> Callable[[str], Decoded]:
    return lambda name: decode(open_dataset(shared(name)), preprocessing=PHOTOGRAPHS)


def test_caltech5_comes_split_and_whole(decoded: Callable[[str], Decoded]) -> None:
    caltech5 = decoded("caltech5")
    assert caltech5.images.shape == (400, 224, 224, 3)
    assert caltech5.dataset.class_names["class"] == (
        "car_side", "ewer", "grand_piano", "helicopter", "laptop",
    )  # fmt: skip
    splits = make_splits(caltech5, seed=0)
    for split, each in (("train", 50), ("validation", 10), ("test", 20)):
        labels = caltech5.dataset.labels["class"][splits.indices[split]]  # type: ignore[index]
        assert np.bincount(labels).tolist() == [each] * 5


def test_caltech5_gives_its_gray_cars_away(decoded: Callable[[str], Decoded]) -> None:
    caltech5 = decoded("caltech5")
    is_car = caltech5.dataset.labels["class"] == 0
    assert caltech5.facts.is_gray[is_car].all()
    assert caltech5.facts.is_gray[~is_car].mean() < 0.2


def test_caltech5_has_the_same_piano_in_train_and_test(
    decoded: Callable[[str], Decoded],
) -> None:
    splits = make_splits(decoded("caltech5"), seed=0)
    pairs = {(pair.first, pair.second): pair.correlation for pair in splits.similar}
    same = ("train/grand_piano/image_0006.jpg", "test/grand_piano/image_0014.jpg")
    assert pairs[same] > 0.999
    assert len(pairs) < 10


def test_caltech3_has_no_leak_and_one_bonsai_taken_twice(
    decoded: Callable[[str], Decoded],
) -> None:
    caltech3 = decoded("caltech3")
    splits = make_splits(caltech3, seed=0)
    assert {split: len(rows) for split, rows in splits.indices.items()} == {
        "train": 150,
        "validation": 30,
        "test": 60,
    }
    assert [(pair.first, pair.second) for pair in splits.similar] == [
        ("train/bonsai/image_0012.jpg", "test/bonsai/image_0114.jpg")
    ]


def test_animals3_is_divided_and_the_file_gives_the_same_split(
    decoded: Callable[[str], Decoded], tmp_path: Path
) -> None:
    animals3 = decoded("animals3")
    splits = make_splits(animals3, seed=1)
    labels = animals3.dataset.labels["class"]
    assert np.bincount(labels).tolist() == [91, 86, 200]
    test = np.bincount(labels[splits.indices["test"]])
    assert np.abs(test - 0.2 * np.bincount(labels)).max() <= 1
    write_splits(tmp_path / "split.csv", animals3, splits)
    again = read_splits(tmp_path / "split.csv", animals3.dataset)
    for split in SPLIT_NAMES:
        assert (again.indices[split] == splits.indices[split]).all()


def test_animals3_gives_its_leopards_away_by_their_width(
    decoded: Callable[[str], Decoded],
) -> None:
    animals3 = decoded("animals3")
    leopards = animals3.dataset.labels["class"] == 2
    assert animals3.dataset.class_names["class"][2] == "Leopards"
    assert animals3.facts.width[leopards].max() <= 192
    assert np.median(animals3.facts.width[~leopards]) == 300

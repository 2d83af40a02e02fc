from __future__ import annotations

import numpy as np
import pytest

from convoscope.data import shortcuts
from convoscope.data.shortcuts import find_shortcuts

NAMES = ("cat", "dog", "owl")


def labels_of(each: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.repeat(np.arange(3), each)


def test_a_property_that_gives_a_class_away_comes_first_and_is_suspicious() -> None:
    rng = np.random.default_rng(0)
    labels = labels_of(40)
    is_gray = (labels == 1).astype(float)
    found = find_shortcuts({"gray": is_gray, "brightness": rng.normal(size=120)}, labels, NAMES)
    best = found[0]
    assert (best.trait, best.class_name, best.accuracy.value) == ("gray", "dog", 1.0)
    assert (best.typical, best.others) == (1.0, 0.0)
    assert [s.class_name for s in found if s.is_suspicious] == ["dog"]


def test_a_middle_range_gives_a_class_away_too() -> None:
    rng = np.random.default_rng(0)
    labels = labels_of(60)
    width = np.where(labels == 0, 200, rng.choice([100, 300], 180)) + rng.integers(-20, 20, 180)
    (best, *_) = find_shortcuts({"width": width}, labels, NAMES)
    assert best.class_name == "cat"
    assert best.is_suspicious


def test_noise_is_near_chance_with_an_interval_around_it() -> None:
    rng = np.random.default_rng(3)
    for shortcut in find_shortcuts({"noise": rng.normal(size=300)}, labels_of(100), NAMES):
        assert shortcut.accuracy.value is not None
        assert shortcut.accuracy.value == pytest.approx(0.5, abs=0.12)
        assert shortcut.accuracy.low is not None
        assert shortcut.accuracy.value is not None
        assert shortcut.accuracy.low < shortcut.accuracy.value
        assert not shortcut.is_suspicious


def test_balanced_accuracy_is_the_mean_of_both_recalls() -> None:
    cells = np.array([[6, 2, 1, 3]])  # others: 6 right, 2 wrong; class: 1 wrong, 3 right
    assert shortcuts._balanced_accuracy(cells)[0, 0] == pytest.approx((6 / 8 + 3 / 4) / 2)


def test_unlabelled_images_tiny_classes_and_constant_properties_are_left_out() -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2] + [-1] * 50)
    width = np.concatenate([np.zeros(10), np.ones(11), np.full(50, 9.0)])
    found = find_shortcuts({"width": width, "height": np.ones(71)}, labels, NAMES)
    assert {(s.trait, s.class_name) for s in found} == {("width", "cat"), ("width", "dog")}


def test_large_sets_are_drawn_from_with_a_seed() -> None:
    labels = np.arange(3 * shortcuts.IMAGES_AT_MOST) % 3
    values = {"width": labels + np.random.default_rng(0).normal(size=len(labels))}
    first, second, other = (find_shortcuts(values, labels, NAMES, seed=s) for s in (0, 0, 1))
    assert first == second
    assert first != other

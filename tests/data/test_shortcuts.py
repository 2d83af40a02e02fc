from __future__ import annotations

import numpy as np
import pytest

from convoscope.data import shortcuts
from convoscope.data.shortcuts import balanced_accuracy, find_shortcuts

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
    cells = np.array([6, 2, 1, 3])  # others: 6 right, 2 wrong; class: 1 wrong, 3 right
    assert balanced_accuracy(cells).value == pytest.approx((6 / 8 + 3 / 4) / 2)


def test_the_interval_of_balanced_accuracy_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        of_others, of_class = rng.binomial(200, 0.95), rng.binomial(30, 0.8)
        figure = balanced_accuracy(np.array([of_others, 200 - of_others, 30 - of_class, of_class]))
        assert figure.low is not None
        assert figure.high is not None
        inside += figure.low <= (0.95 + 0.8) / 2 <= figure.high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_a_handful_of_images_is_not_enough_to_suspect_a_class() -> None:
    labels = np.array([0] * 4 + [1] * 50 + [2] * 50)
    (best, *_) = find_shortcuts({"width": labels == 0}, labels, NAMES)
    assert best.accuracy.value == 1
    assert best.class_name == "cat"
    assert not best.is_suspicious


def test_a_first_glance_leaves_out_what_is_hopeless_and_changes_nothing_else() -> None:
    rng = np.random.default_rng(1)
    labels = labels_of(60)
    properties = {"gray": labels == 1, "noise": rng.normal(size=180)}
    every = find_shortcuts(properties, labels, NAMES)
    hopeful = find_shortcuts(properties, labels, NAMES, at_least=0.9)
    assert [(s.trait, s.class_name) for s in hopeful] == [("gray", "dog")]
    assert hopeful[0] == every[0]


def test_a_first_glance_leaves_out_classes_that_are_too_small_to_be_sure_of() -> None:
    labels = np.array([0] * 5 + [1] * 6 + [2] * 50)
    properties = {"gray": labels == 0, "narrow": labels == 1}
    every = find_shortcuts(properties, labels, NAMES)
    assert [s.class_name for s in every if s.is_suspicious] == ["dog"]
    hopeful = find_shortcuts(properties, labels, NAMES, at_least=0.9)
    assert [(s.trait, s.class_name) for s in hopeful] == [("narrow", "dog")]


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

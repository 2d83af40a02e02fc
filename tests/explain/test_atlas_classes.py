"""Which channel speaks for which class: against scikit-learn, a slow definition, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from convoscope.arrays import generator
from convoscope.errors import ShapeError
from convoscope.explain.atlas_classes import area_interval, areas, speaks


def test_areas_are_scikit_learns() -> None:
    rng = generator(0, "areas")
    responses = rng.normal(size=(90, 70)).round(1)  # with ties
    labels = rng.integers(0, 4, size=90)
    found = speaks(responses, labels, 4)
    for channel in range(0, 70, 7):
        for k in range(4):
            expected = roc_auc_score(labels == k, responses[:, channel])
            assert found.auc[channel, k] == pytest.approx(expected)
    assert found.comparisons == 280


def test_an_area_is_the_share_of_pairs_that_are_in_order() -> None:
    responses = np.array([[1.0], [2.0], [2.0], [5.0]])
    is_of = np.array([[False], [True], [False], [True]])
    # (2 > 1), (2 = 2), (5 > 1), (5 > 2): 3.5 of 4 pairs
    assert areas(responses, is_of).item() == 3.5 / 4


def test_the_ends_of_an_interval_are_as_far_as_their_own_errors_allow() -> None:
    auc = np.array([[0.5, 0.8, 0.97, 1.0, 0.0]])
    own, others = np.array([20, 30, 10, 15, 15]), np.array([40, 30, 90, 30, 30])
    low, high = area_interval(auc, own, others, 0.95)
    for end in (low, high):
        a = end[0]
        mean = (own + others) / 2
        variance = a * (1 - a) * (1 + (mean - 1) * ((1 - a) / (2 - a) + a / (1 + a)))
        distance = 1.959964 * np.sqrt(variance / (own * others))
        inner = (a > 1e-9) & (a < 1 - 1e-9)
        np.testing.assert_allclose(np.abs(a - auc[0])[inner], distance[inner], rtol=1e-5)
    assert ((low <= auc) & (auc <= high)).all()
    assert high[0, 3] == 1
    assert 0.7 < low[0, 3] < 1  # a perfect area of 15 images is not certain
    assert low[0, 4] == 0


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = generator(3, "coverage")
    truth = 0.8
    shift = 1.190233  # of two normal distributions whose AUC is 0.8
    tries, own, others = 2000, 25, 40
    responses = rng.normal(size=(own + others, tries))
    responses[:own] += shift
    is_of = np.arange(own + others)[:, None] < own
    auc = areas(responses, is_of)
    low, high = area_interval(auc, np.array([own]), np.array([others]), 0.95)
    covered = float(((low <= truth) & (truth <= high)).mean())
    assert 0.93 < covered < 0.985


def test_of_channels_that_know_nothing_hardly_any_speaks() -> None:
    rng = generator(1, "nothing")
    wrong = 0
    for trial in range(20):
        responses = generator(trial, "noise").normal(size=(80, 50))
        found = speaks(responses, rng.integers(0, 5, size=80), 5)
        wrong += bool((found.for_class() >= 0).any())
    assert wrong <= 4  # each of 20 atlases has at most 5 % for one wrong channel


def test_a_channel_that_knows_a_class_speaks_for_it() -> None:
    labels = np.repeat([0, 1, 2], 30)
    responses = generator(0, "know").normal(size=(90, 4))
    responses[labels == 1, 2] += 4
    found = speaks(responses, labels, 3)
    assert found.for_class().tolist() == [-1, -1, 1, -1]
    assert found.best[2] == 1
    assert found.counts.tolist() == [30, 30, 30]


def test_a_constant_channel_says_nothing_and_a_class_without_images_is_unknown() -> None:
    labels = np.array([0, 0, 1, 1, -1])
    responses = np.zeros((5, 2))
    found = speaks(responses, labels, 3)
    assert found.auc[:, :2].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert np.isnan(found.auc[:, 2]).all()
    assert np.isnan(found.low[:, 2]).all()
    assert found.for_class().tolist() == [-1, -1]


@pytest.mark.parametrize("labels", [[-1, -1], [0, 0]])
def test_without_two_classes_nobody_speaks(labels: list[int]) -> None:
    found = speaks(np.ones((2, 3)), np.array(labels), 2)
    assert found.comparisons == 0
    assert found.best.tolist() == [-1, -1, -1]
    assert found.for_class().tolist() == [-1, -1, -1]


def test_labels_must_be_the_images_own() -> None:
    with pytest.raises(ShapeError, match="labels must be one class index below 2 per image"):
        speaks(np.ones((3, 1)), np.array([0, 1, 2]), 2)

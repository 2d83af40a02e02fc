"""The spread over trainings against SciPy and by hand; intervals over images and over groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from convoscope.arrays import generator
from convoscope.errors import SettingsError
from convoscope.metrics.intervals import UNDEFINED, proportion
from convoscope.metrics.spread import SHARE, accuracy_over_groups, mean_over_images, spread


def test_the_interval_is_students() -> None:
    values = [0.81, 0.84, 0.79, 0.86]
    found = spread(values)
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert found.interval == pytest.approx(expected)
    assert (found.n, found.smallest, found.largest) == (4, 0.79, 0.86)
    assert (found.mean, found.sd) == pytest.approx((0.825, np.std(values, ddof=1)))


def test_the_interval_of_the_mean_covers_it_as_often_as_it_says() -> None:
    rng = generator(0, "coverage")
    inside = 0
    for _ in range(1000):
        interval = spread(rng.normal(0.7, 0.05, size=4).tolist()).interval
        assert interval is not None
        inside += interval.low <= 0.7 <= interval.high
    assert 0.93 < inside / 1000 < 0.97


def test_a_share_stays_between_nothing_and_all() -> None:
    interval = spread([0.9, 1.0], limits=SHARE).interval
    assert interval is not None
    assert interval.high == 1.0


def test_equal_figures_have_no_interval() -> None:
    found = spread([0.5, 0.5, 0.5])
    assert found.interval is None
    assert found.to_json() == {
        "n": 3,
        "mean": 0.5,
        "sd": 0.0,
        "smallest": 0.5,
        "largest": 0.5,
        "interval": None,
    }


def test_one_training_has_no_spread() -> None:
    with pytest.raises(SettingsError, match="at least two trainings, got 1: train again with"):
        spread([0.5])


def test_an_image_counts_once_however_many_networks_saw_it() -> None:
    one = generator(0, "right").random((1, 80)) < 0.7
    alike = np.repeat(one, 5, axis=0)
    assert mean_over_images(alike) == proportion(int(one.sum()), 80)
    assert mean_over_images(np.zeros((3, 0), bool)) == UNDEFINED


def test_the_interval_over_images_is_never_narrower_than_its_bootstrap() -> None:
    rng = generator(1, "right")
    right = rng.random((4, 200)) < rng.random(200)
    figure = mean_over_images(right)
    drawn = rng.integers(0, 200, size=(4000, 200))
    low, high = np.quantile(right.mean(axis=0)[drawn].mean(axis=1), [0.025, 0.975])
    assert figure.value == right.mean()
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= low
    assert figure.high >= high


def test_groups_of_one_give_about_wilsons_interval_and_large_ones_a_wider_one() -> None:
    right = np.array([True] * 70 + [False] * 30)
    alone = accuracy_over_groups(right, [str(n) for n in range(100)])
    wilson = proportion(70, 100)
    assert alone.value == wilson.value == 0.7
    assert alone.low == pytest.approx(wilson.low, abs=0.015)
    assert alone.high == pytest.approx(wilson.high, abs=0.015)
    together = accuracy_over_groups(right, [str(n // 10) for n in range(100)])
    assert together.low is not None
    assert together.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert accuracy_over_groups(np.zeros(0, bool), []) == UNDEFINED

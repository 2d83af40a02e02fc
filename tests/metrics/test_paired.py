"""Differences over other images and other seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from convoscope.arrays import FloatArray, generator
from convoscope.errors import DataError
from convoscope.metrics.paired import SeedLuck, paired_difference, seed_luck


def test_with_one_seed_and_losses_it_is_the_paired_t_test() -> None:
    rng = generator(0, "paired")
    first, second = rng.normal(0, 1, (1, 40)), rng.normal(0.3, 1, (1, 40))
    found = paired_difference(first, second, luck=None, is_share=False)
    theirs = stats.ttest_rel(second[0], first[0])
    assert found.p_value == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high))
    assert not found.knows_seeds


def test_shares_come_near_mcnemars_exact_test() -> None:
    first = np.ones((1, 200))
    second = np.ones((1, 200))
    first[0, :14] = 0  # only the second has them right
    second[0, 14:18] = 0  # only the first
    found = paired_difference(first, second, luck=None, is_share=True)
    assert found.value == pytest.approx(10 / 200)
    assert found.p_value == pytest.approx(stats.binomtest(4, 18).pvalue, abs=0.01)


def test_the_luck_of_seeds_widens_the_interval() -> None:
    rng = generator(1, "paired")
    first, second = rng.normal(0, 1, (3, 400)), rng.normal(0.2, 1, (3, 400))
    without = paired_difference(first, second, luck=None, is_share=False)
    luck = SeedLuck(sd=0.2, degrees=8)
    within = paired_difference(first, second, luck=luck, is_share=False)
    assert within.value == without.value
    assert within.interval.low < without.interval.low < without.interval.high
    assert within.p_value > without.p_value
    assert within.knows_seeds


def test_seeds_that_vary_are_not_taken_for_a_difference() -> None:
    """With nothing but luck of images and seeds, about one in twenty is called a difference."""
    called = 0
    for trial in range(300):
        rng = generator(trial, "null")
        ways = [rng.normal(0, 1, (1, 60)) + rng.normal(0, 0.3, (3, 1)) for _ in range(4)]
        luck = seed_luck([list(way.mean(axis=1)) for way in ways])
        called += paired_difference(ways[0], ways[1], luck=luck, is_share=False).p_value < 0.05
    assert 3 <= called <= 27


def test_pooled_luck_is_the_residual_of_an_analysis_of_variance() -> None:
    luck = seed_luck([[1.0, 2.0, 3.0], [10.0, 12.0], [5.0]])
    assert luck is not None
    assert luck.degrees == 3
    assert luck.sd == pytest.approx(np.sqrt((2.0 + 2.0) / 3))
    assert seed_luck([[1.0], [2.0]]) is None


def test_an_interval_of_shares_holds_0_exactly_where_the_p_value_is_not_small() -> None:
    called = []
    for trial in range(200):
        rng = generator(trial, "agreement")
        first, second = (rng.random((2, 50)) < share for share in (0.85, 0.95))
        luck = SeedLuck(sd=0.01, degrees=2)
        found = paired_difference(
            first.astype(float), second.astype(float), luck=luck, is_share=True
        )
        holds = found.interval.low <= 0 <= found.interval.high
        assert holds == (found.p_value >= 0.05)
        called.append(holds)
    assert 20 < sum(called) < 180


def test_equal_answers_are_no_difference() -> None:
    same = np.ones((2, 5))
    found = paired_difference(same, same, luck=None, is_share=True)
    assert (found.value, found.p_value, found.interval) == (0.0, 1.0, (0.0, 0.0))
    assert found.to_json()["interval"] == {"low": 0.0, "high": 0.0}


@pytest.mark.parametrize(("first", "second"), [(np.ones((1, 3)), np.ones((1, 4)))] * 1)
def test_other_images_are_refused(first: FloatArray, second: FloatArray) -> None:
    with pytest.raises(DataError, match="needs the same images for both, two at least, got 3 and"):
        paired_difference(first, second, luck=None, is_share=True)

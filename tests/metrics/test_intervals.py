from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats

from convoscope.arrays import FloatArray, IntArray, generator
from convoscope.errors import SettingsError
from convoscope.metrics.intervals import (
    Figure,
    Interval,
    bootstrap,
    bootstrap_counts,
    percentiles,
    proportion,
    ratio,
    wilson,
)


def slow_wilson(successes: int, n: int, level: float) -> tuple[float, float]:
    """The two p at which the normal test of ``successes`` is just not surprised, by bisection."""
    z, share = float(stats.norm.ppf(0.5 + level / 2)), successes / n

    def surprise(p: float) -> float:
        return (share - p) ** 2 - z * z * p * (1 - p) / n

    def root(calm: float, surprised: float) -> float:
        for _ in range(200):
            middle = (calm + surprised) / 2
            calm, surprised = (middle, surprised) if surprise(middle) <= 0 else (calm, middle)
        return calm

    return root(share, 0.0), root(share, 1.0)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (45, 60), (3, 7), (38_399, 38_400)])
def test_wilson_inverts_the_normal_test(successes: int, n: int, level: float) -> None:
    np.testing.assert_allclose(
        wilson(successes, n, level), slow_wilson(successes, n, level), atol=1e-12
    )


def test_wilson_agrees_with_scipy() -> None:
    theirs = stats.binomtest(45, 60).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(wilson(45, 60), (theirs.low, theirs.high), rtol=1e-13)


def test_wilson_stays_in_range_at_both_ends() -> None:
    for n in range(1, 200):
        assert wilson(0, n).low == 0.0 < wilson(0, n).high
        assert wilson(n, n).high == 1.0 > wilson(n, n).low


def test_nothing_tried_says_nothing() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert proportion(0, 0) == Figure(None, None, None)
    assert proportion(0, 0).to_json() == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3)])
def test_more_successes_than_trials_are_refused(successes: int, n: int) -> None:
    message = (
        f"a proportion must have 0 <= successes <= n, got {successes} of {n}: "
        "count the successes among the n"
    )
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        wilson(successes, n)


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_a_level_outside_of_0_and_1_is_refused(level: float) -> None:
    with pytest.raises(SettingsError, match=r"level must lie between 0 and 1, got .*: 0.95 is"):
        wilson(1, 2, level)


def mean(sums: FloatArray) -> FloatArray:
    return sums[:, :1] / sums[:, 1:]


def test_the_bootstrap_is_that_of_a_slow_loop() -> None:
    rng = generator(1, "values")
    values = np.column_stack([rng.gamma(2.0, size=80), np.ones(80)])
    (interval,) = bootstrap(values, mean, resamples=4000)
    loop = generator(2, "loop")
    slow = [float(np.mean(loop.choice(values[:, 0], size=80))) for _ in range(4000)]
    assert interval is not None
    np.testing.assert_allclose(interval, np.quantile(slow, [0.025, 0.975]), rtol=0.02)


def test_the_bootstrap_draws_as_many_images_as_there_are() -> None:
    seen: list[FloatArray] = []

    def look(sums: FloatArray) -> FloatArray:
        seen.append(sums)
        return sums

    # Many images, so that the resamples are drawn in several portions.
    bootstrap(np.ones((100_000, 1)), look, resamples=100)
    assert len(seen) > 1
    np.testing.assert_array_equal(np.concatenate(seen), np.full((100, 1), 100_000))


def test_the_bootstrap_has_the_level_it_claims() -> None:
    """Of 300 experiments whose true mean is 1, about 95 % have it inside."""
    rng = generator(3, "coverage")
    inside = 0
    for _ in range(300):
        (interval,) = bootstrap(rng.exponential(size=(60, 1)), lambda s: s / 60, resamples=400)
        assert interval is not None
        inside += interval.low <= 1 <= interval.high
    assert 0.88 < inside / 300 < 0.98


def test_counts_resampled_at_once_are_distributed_like_images_resampled() -> None:
    cells = np.array([30, 5, 12, 13])
    images = np.repeat(np.eye(4), cells, axis=0)

    def shares(counts: FloatArray | IntArray) -> FloatArray:
        return np.stack([counts[:, 0] / counts.sum(axis=1), counts[:, 1] / 60], axis=1)

    at_once = bootstrap_counts(cells, shares, resamples=8000)
    by_image = bootstrap(images, shares, resamples=8000)
    for one, other in zip(at_once, by_image, strict=True):
        assert one is not None
        assert other is not None
        np.testing.assert_allclose(one, other, atol=0.018)  # one image is 0.0167


def test_the_same_seed_gives_the_same_interval() -> None:
    values = generator(4, "values").normal(size=(50, 2))
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values) != bootstrap(values, seed=1)


def test_no_images_give_no_interval() -> None:
    assert bootstrap(np.zeros((0, 3))) == [None, None, None]
    assert bootstrap_counts(np.zeros(2, np.int64), lambda counts: counts * 1.0) == [None, None]


def test_undefined_resamples_are_left_out() -> None:
    figures = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    assert percentiles(figures, 0.5) == [Interval(1.5, 2.5), None]


def test_a_ratio_over_nothing_is_nan_without_a_warning() -> None:
    np.testing.assert_array_equal(ratio(np.array([1, 2]), np.array([0, 4])), [np.nan, 0.5])

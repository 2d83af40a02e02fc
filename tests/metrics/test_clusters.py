"""Intervals over clusters, against a slow count, against repetition, and against simulation."""

import numpy as np
import pytest
from tests.metrics.conftest import MakeHead, MakePredictions

from convoscope.arrays import FloatArray, IntArray
from convoscope.metrics.clusters import (
    bootstrap_cells,
    cluster_sums,
    effective_size,
    number_clusters,
    share,
)
from convoscope.metrics.intervals import UNDEFINED, bootstrap_counts, proportion, wilson
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.reconciliation import reconcile
from convoscope.metrics.summary import summarise


def slow_effective_size(right: list[bool], clusters: list[int]) -> float:
    """n over the design effect, one cluster at a time (Rao and Scott 1992, eq. 2)."""
    n, p = len(right), sum(right) / len(right)
    names = sorted(set(clusters))
    residuals = []
    for name in names:
        own = [r for r, c in zip(right, clusters, strict=True) if c == name]
        residuals.append(sum(own) - p * len(own))
    m = len(names)
    variance = m / (m - 1) * sum(r * r for r in residuals) / n**2
    return min(n, n / (variance / (p * (1 - p) / n)))


def test_clusters_are_numbered_from_their_names() -> None:
    assert number_clusters(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_the_effective_size_is_n_over_the_design_effect() -> None:
    rng = np.random.default_rng(3)
    clusters = rng.integers(0, 12, size=80)
    right = rng.random(80) < 0.3 + 0.5 * (clusters % 2)
    expected = slow_effective_size(right.tolist(), clusters.tolist())
    assert effective_size(right, clusters) == pytest.approx(expected)
    assert expected < 40, "images of a cluster are alike here"


def test_a_picture_repeated_ten_times_is_worth_one() -> None:
    """The interval of copies is that of the pictures, but for the variance's last degree."""
    right = np.repeat([True, True, False, True, False, True, True, True], 10)
    clusters = np.repeat(np.arange(8), 10)
    worth = effective_size(right, clusters)
    assert worth == pytest.approx(8 * 7 / 8)
    found = share(right, clusters)
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx(wilson(0.75 * 7, 7))


def test_images_on_their_own_are_worth_what_they_are() -> None:
    right = np.arange(200) % 5 > 0
    assert effective_size(right, np.arange(200)) == pytest.approx(199)
    assert share(right, None) == proportion(160, 200)


@pytest.mark.parametrize("answer", [True, False])
def test_where_all_are_right_every_cluster_counts_as_one_answer(answer: bool) -> None:
    right = np.full(12, answer)
    assert effective_size(right, np.repeat([0, 1, 2], 4)) == 3
    assert effective_size(right, np.array([0] * 9 + [1, 2, 3])) == pytest.approx(144 / 84)
    found = share(right, np.repeat([0, 1, 2], 4))
    assert (found.low, found.high) == pytest.approx(wilson(3.0 * answer, 3))


def test_clusters_that_differ_less_than_chance_are_worth_no_more_than_their_images() -> None:
    """Each cluster has one right and one wrong: their shares do not vary at all."""
    right, clusters = np.tile([True, False], 10), np.repeat(np.arange(10), 2)
    assert effective_size(right, clusters) == 20


def test_a_single_cluster_is_one_answer_and_none_is_undefined() -> None:
    assert effective_size(np.array([True, False, True]), np.zeros(3, np.int64)) == 1
    assert share(np.zeros(0, bool), np.zeros(0, np.int64)) == UNDEFINED


def test_the_interval_covers_what_it_says_it_does() -> None:
    """95 % of intervals of 60 groups of 1 to 9 copies each hold the true share."""
    rng, truth, inside = np.random.default_rng(0), 0.8, 0
    for _ in range(600):
        clusters = np.repeat(np.arange(60), rng.integers(1, 10, size=60))
        right = (rng.random(60) < truth)[clusters]
        found = share(right, clusters)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert 0.92 < inside / 600 < 0.98
    naive = proportion(int(right.sum()), len(right))
    assert naive.low is not None
    assert found.low is not None
    assert naive.low > found.low, "counting copies would have promised more"


def test_cluster_sums_add_up_each_column() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert cluster_sums(values, np.array([1, 0, 1])).tolist() == [[2, 20], [5, 50]]


def rates(counts: IntArray) -> FloatArray:
    return np.asarray(counts[:, :1] / counts.sum(axis=1, keepdims=True))


def test_resampling_clusters_of_one_is_resampling_images() -> None:
    cells = np.repeat([0, 1], [70, 30])
    (of_clusters,) = bootstrap_cells(cells, np.arange(100), rates)
    (of_images,) = bootstrap_counts(np.array([70, 30]), rates)
    assert of_clusters is not None
    assert of_images is not None
    assert of_clusters == pytest.approx(of_images, abs=0.011)


def test_resampling_copies_is_resampling_pictures() -> None:
    cells, clusters = np.repeat([0, 1], [700, 300]), np.repeat(np.arange(100), 10)
    (of_copies,) = bootstrap_cells(cells, clusters, rates)
    (of_pictures,) = bootstrap_cells(np.repeat([0, 1], [70, 30]), np.arange(100), rates)
    assert of_copies == of_pictures


def test_resampling_no_image_defines_nothing() -> None:
    none = np.zeros(0, np.int64)
    assert bootstrap_cells(none, none, lambda counts: np.full((len(counts), 3), np.nan)) == [
        None,
        None,
        None,
    ]


def repeated(predictions: Predictions, times: int) -> Predictions:
    """Every image so many times, each group an image and its copies."""
    heads = {
        name: type(head)(
            class_names=head.class_names,
            labels=np.repeat(head.labels, times),
            logits=np.repeat(head.logits, times, axis=0),
            output=head.output,
        )
        for name, head in predictions.heads.items()
    }
    names = [f"{i}/{copy}" for i in predictions.ids for copy in range(times)]
    groups = tuple(i for i in predictions.ids for _ in range(times))
    return Predictions(split=predictions.split, ids=tuple(names), heads=heads, groups=groups)


def test_a_split_of_copies_has_the_intervals_of_its_pictures(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    once = make_predictions(first=make_head(90, 4, unknown=5), second=make_head(90, 3))
    single, copied = summarise(once), summarise(repeated(once, 6))
    reconcile(copied)
    assert single.independent is None
    assert copied.independent == 90
    assert copied.images == 540
    for name in ("first", "second"):
        one, many = single.heads[name], copied.heads[name]
        pairs = [
            (one.accuracy, many.accuracy),
            (one.loss, many.loss),
            (one.macro.f1, many.macro.f1),
            (one.calibration.brier, many.calibration.brier),
            (one.classes[0].recall, many.classes[0].recall),
            (one.classes[0].f1, many.classes[0].f1),
            (one.top_k[2], many.top_k[2]),
            (single.whole.accuracy, copied.whole.accuracy),
        ]
        for first, second in pairs:
            assert first.value == pytest.approx(second.value)
            assert first.low == pytest.approx(second.low, abs=0.03)
            assert first.high == pytest.approx(second.high, abs=0.03)

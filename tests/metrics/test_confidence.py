from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from convoscope.errors import DataError, SettingsError
from convoscope.metrics.confidence import (
    abstain_below,
    choose_temperature,
    coverage_curve,
    log_likelihood,
    threshold_for,
    with_temperature,
)
from convoscope.metrics.predictions import HeadPredictions, Output


def softmax_head(seed: int = 0, n: int = 400, sharpness: float = 1.0) -> HeadPredictions:
    """Labels drawn from the very probabilities that the logits say, then sharpened."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 4)) * 2
    powers = np.exp(logits)
    cumulated = (powers / powers.sum(axis=1, keepdims=True)).cumsum(axis=1)
    labels = (rng.random((n, 1)) > cumulated).sum(axis=1)
    return HeadPredictions(
        class_names=tuple("abcd"), labels=labels.astype(np.int64), logits=logits * sharpness
    )


def sigmoid_head(classes: int, seed: int = 0) -> HeadPredictions:
    rng = np.random.default_rng(seed)
    units = 1 if classes == 2 else classes
    output: Output = "sigmoid"
    return HeadPredictions(
        class_names=tuple(map(str, range(classes))),
        labels=rng.integers(0, classes, 50),
        logits=rng.normal(size=(50, units)) * 5,
        output=output,
    )


def test_log_likelihood_is_scikit_learns() -> None:
    head = softmax_head()
    expected = log_loss(head.labels, head.probabilities(), labels=range(4))
    assert -log_likelihood(head).mean() == pytest.approx(expected, rel=1e-12)


def test_log_likelihood_of_one_sigmoid_is_scikit_learns() -> None:
    head = sigmoid_head(2)
    expected = log_loss(head.labels, head.probabilities())
    assert -log_likelihood(head).mean() == pytest.approx(expected, rel=1e-12)


def test_log_likelihood_of_several_sigmoids_adds_one_for_each_class() -> None:
    head = sigmoid_head(3)
    slow = [
        sum(
            np.log(p if k == label else 1 - p)
            for k, p in enumerate(1 / (1 + np.exp(-head.logits[i])))
        )
        for i, label in enumerate(head.labels)
    ]
    np.testing.assert_allclose(log_likelihood(head), slow, rtol=1e-9)


def test_the_temperature_undoes_what_sharpened_the_logits() -> None:
    plain = choose_temperature(softmax_head(n=4000)).value
    sharp = choose_temperature(softmax_head(n=4000, sharpness=3.0))
    assert sharp.value == pytest.approx(3 * plain, rel=1e-3)
    assert plain == pytest.approx(1, abs=0.1)
    assert sharp.after < sharp.before


def test_the_temperature_is_the_best_of_a_fine_grid() -> None:
    head = softmax_head(sharpness=2.5)
    found = choose_temperature(head)
    losses = [-log_likelihood(with_temperature(head, t)).mean() for t in np.linspace(0.5, 6, 2000)]
    assert found.after <= min(losses) + 1e-9


def test_a_temperature_changes_no_prediction() -> None:
    head = softmax_head()
    np.testing.assert_array_equal(with_temperature(head, 7.3).predicted(), head.predicted())
    strict = replace(sigmoid_head(2), threshold=0.8)
    np.testing.assert_array_equal(with_temperature(strict, 7.3).predicted(), strict.predicted())


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_must_be_above_zero(temperature: float) -> None:
    with pytest.raises(SettingsError, match="a temperature must be above 0"):
        with_temperature(softmax_head(), temperature)


def unlabelled() -> HeadPredictions:
    return HeadPredictions(
        class_names=("a", "b"), labels=np.full(3, -1, np.int64), logits=np.zeros((3, 2))
    )


def test_nothing_is_chosen_on_unlabelled_images() -> None:
    with pytest.raises(DataError, match="a temperature must be chosen on images whose label"):
        choose_temperature(unlabelled())
    with pytest.raises(DataError, match="a coverage curve needs images whose label"):
        coverage_curve(unlabelled())


def test_abstention_is_counted_one_image_at_a_time() -> None:
    head = softmax_head()
    kept = right = 0
    for probabilities, label in zip(head.probabilities(), head.labels, strict=True):
        if probabilities.max() >= 0.7:
            kept += 1
            right += int(probabilities.argmax() == label)
    abstention = abstain_below(head, 0.7)
    assert abstention.coverage.value == kept / len(head.labels)
    assert abstention.accuracy.value == right / kept


def test_a_threshold_that_keeps_nothing_leaves_accuracy_undefined() -> None:
    head = softmax_head()
    assert abstain_below(head, 1.0).accuracy.value is None


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(SettingsError, match="must lie between 0 and 1"):
        abstain_below(softmax_head(), threshold)


def test_the_coverage_curve_is_abstention_at_each_confidence() -> None:
    head = softmax_head(n=60)
    curve = coverage_curve(head)
    for i in range(len(curve.thresholds)):
        point = abstain_below(head, float(curve.thresholds[i]))
        assert curve.coverage[i] == pytest.approx(point.coverage.value)
        assert curve.accuracy[i] == pytest.approx(point.accuracy.value)
    assert curve.coverage[-1] == 1


def test_images_of_one_confidence_come_together() -> None:
    head = HeadPredictions(
        class_names=("a", "b"),
        labels=np.array([0, 1, 0, 1]),
        logits=np.array([[2.0, 0.0], [2.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
    )
    curve = coverage_curve(head)
    assert curve.coverage.tolist() == [0.5, 1.0]
    assert curve.accuracy.tolist() == [0.5, 0.75]
    assert curve.risk == pytest.approx((0.5 * 2 + 0.25 * 2) / 4)


def test_the_chosen_threshold_keeps_most_at_the_wanted_accuracy() -> None:
    head = softmax_head()
    chosen = threshold_for(head, 0.9)
    assert chosen is not None
    assert chosen.accuracy.value is not None
    assert chosen.accuracy.value >= 0.9
    looser = [abstain_below(head, t) for t in np.unique(head.probabilities().max(axis=1))]
    assert chosen.coverage.value == max(
        point.coverage.value or 0 for point in looser if (point.accuracy.value or 0) >= 0.9
    )


def test_an_accuracy_that_no_threshold_reaches_gives_none() -> None:
    head = HeadPredictions(
        class_names=("a", "b"), labels=np.array([1]), logits=np.array([[3.0, 0.0]])
    )
    assert threshold_for(head, 0.5) is None


def test_images_that_are_all_right_choose_no_temperature() -> None:
    """Their likelihood would make every prediction look certain."""
    logits = np.array([[2.0, 0.1], [0.2, 0.3], [0.0, 1.0]])
    head = HeadPredictions(class_names=("a", "b"), labels=np.array([0, 1, 1]), logits=logits)
    chosen = choose_temperature(head)
    assert chosen.value == 1.0
    assert chosen.after == chosen.before
    units = HeadPredictions(
        class_names=("a", "b"),
        labels=np.array([0, 1]),
        logits=np.array([[1.0, -1.0], [-2.0, 0.5]]),
        output="sigmoid",
    )
    assert choose_temperature(units).value == 1.0

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from tests.metrics.conftest import MakeHead

from convoscope.metrics import calibration
from convoscope.metrics.predictions import HeadPredictions


def slow_calibration_error(head: HeadPredictions, bins: int = 15) -> float:
    """Guo et al. 2017, equations 1 to 3, one bin at a time."""
    probabilities = head.probabilities()
    error = 0.0
    for m in range(1, bins + 1):
        inside = [
            i for i, p in enumerate(probabilities.max(axis=1)) if (m - 1) / bins < p <= m / bins
        ]
        if inside:
            accuracy = np.mean([probabilities[i].argmax() == head.labels[i] for i in inside])
            confidence = np.mean([probabilities[i].max() for i in inside])
            error += len(inside) / len(probabilities) * abs(accuracy - confidence)
    return float(error)


@pytest.mark.parametrize("skill", [0.0, 1.0, 6.0])
def test_the_calibration_error_is_that_of_the_paper(make_head: MakeHead, skill: float) -> None:
    head = make_head(500, 4, skill=skill)
    gaps = calibration.gaps(head).sum(axis=0)
    found = float(calibration.calibration_error(gaps, np.array(500.0)))
    assert found == pytest.approx(slow_calibration_error(head), rel=1e-10)


def test_a_network_that_is_right_as_often_as_it_says_has_no_error() -> None:
    """Ten images at 80 %, eight of them right."""
    logits = np.tile([np.log(4.0), 0.0], (10, 1))
    head = HeadPredictions(
        class_names=("a", "b"), labels=np.array([0] * 8 + [1] * 2), logits=logits
    )
    gaps = calibration.gaps(head).sum(axis=0)
    assert float(calibration.calibration_error(gaps, np.array(10.0))) == pytest.approx(0, abs=1e-15)


def test_bins_are_closed_above() -> None:
    confidence = np.array([0.0, 1 / 15, 0.0667, 0.5, 1.0])
    assert calibration.bin_of(confidence).tolist() == [0, 0, 1, 7, 14]


def test_the_bins_hold_every_image_once(make_head: MakeHead) -> None:
    head = make_head(300, 2, output="sigmoid")
    bins = calibration.calibration_bins(head)
    assert sum(b.n for b in bins) == 300
    assert [b.n for b in bins[:7]] == [0] * 7  # of two classes the predicted one has at least 50 %
    assert bins[0].to_json() == {
        "low": 0.0, "high": pytest.approx(1 / 15), "n": 0, "confidence": None, "accuracy": None,
    }  # fmt: skip
    for b in bins[7:]:
        assert b.confidence is None or b.low < b.confidence <= b.high


def test_briers_score_is_that_of_scikit_learn(make_head: MakeHead) -> None:
    head = make_head(200, 5)
    theirs = brier_score_loss(
        head.labels, head.probabilities(), labels=range(5), scale_by_half=False
    )
    assert float(calibration.brier(head).mean()) == pytest.approx(theirs, rel=1e-12)


def test_briers_score_of_two_classes_counts_both(make_head: MakeHead) -> None:
    head = make_head(200, 2, output="sigmoid")
    theirs = brier_score_loss(head.labels, head.probabilities()[:, 1])
    assert float(calibration.brier(head).mean()) == pytest.approx(2 * theirs, rel=1e-12)

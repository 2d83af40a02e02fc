from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.metrics.conftest import MakeHead, MakePredictions

from convoscope.arrays import generator
from convoscope.errors import DivergedError
from convoscope.metrics import classification
from convoscope.metrics.intervals import Figure, wilson
from convoscope.metrics.predictions import HeadPredictions
from convoscope.metrics.summary import SplitMetrics, summarise


def ends(figure: Figure) -> tuple[float, float]:
    assert figure.low is not None
    assert figure.high is not None
    return figure.low, figure.high


def test_every_figure_is_that_of_its_definition(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    head = make_head(400, 6, skill=1.0)
    metrics = summarise(make_predictions(label=head)).heads["label"]
    predicted = head.predicted()
    assert metrics.n == 400
    assert metrics.correct == int((predicted == head.labels).sum())
    assert metrics.loss.value == pytest.approx(classification.head_loss(head), rel=1e-12)
    assert metrics.accuracy == Figure(metrics.correct / 400, *wilson(metrics.correct, 400))
    assert metrics.balanced_accuracy == metrics.macro.recall
    for average in ("macro", "micro", "weighted"):
        theirs = sk.precision_recall_fscore_support(head.labels, predicted, average=average)
        ours = getattr(metrics, average)
        found = (ours.precision.value, ours.recall.value, ours.f1.value)
        assert found == pytest.approx(theirs[:3], rel=1e-12)
    assert sorted(metrics.top_k) == [2, 3, 5]
    assert (
        np.array(metrics.confusion).tolist() == sk.confusion_matrix(head.labels, predicted).tolist()
    )
    third = metrics.classes[3]
    assert third.name == "class 3"
    assert third.precision == Figure(
        third.correct / third.predicted, *wilson(third.correct, third.predicted)
    )
    assert third.recall == Figure(
        third.correct / third.support, *wilson(third.correct, third.support)
    )


def test_every_figure_lies_in_its_interval(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    metrics = summarise(make_predictions(label=make_head(400, 6, skill=1.0)))
    head = metrics.heads["label"]
    figures = [metrics.loss, head.loss, head.accuracy, head.calibration.brier]
    figures += [metrics.whole.accuracy, *head.top_k.values()]
    for averages in (head.macro, head.micro, head.weighted):
        figures += [averages.precision, averages.recall, averages.f1]
    for a_class in head.classes:
        figures += [a_class.precision, a_class.recall, a_class.f1]
    for figure in figures:
        low, high = ends(figure)
        assert figure.value is not None
        assert low <= figure.value <= high


def test_macro_f1_has_the_interval_of_a_slow_bootstrap(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    head = make_head(150, 4, skill=1.0)
    predicted, rng = head.predicted(), generator(9, "slow")
    slow = []
    for _ in range(600):
        drawn = rng.integers(0, 150, 150)
        slow.append(sk.f1_score(head.labels[drawn], predicted[drawn], average="macro"))
    f1 = summarise(make_predictions(label=head)).heads["label"].macro.f1
    np.testing.assert_allclose(ends(f1), np.quantile(slow, [0.025, 0.975]), atol=0.015)


def test_the_loss_has_the_interval_of_a_slow_bootstrap(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    head = make_head(150, 4, skill=1.0, unknown=50)
    losses = classification.losses(classification.known(head))
    rng = generator(9, "slow")
    slow = [float(rng.choice(losses, 100).mean()) for _ in range(4000)]
    loss = summarise(make_predictions(label=head)).loss
    np.testing.assert_allclose(ends(loss), np.quantile(slow, [0.025, 0.975]), rtol=0.03)


def test_several_heads_have_a_whole(make_head: MakeHead, make_predictions: MakePredictions) -> None:
    angle, width = make_head(300, 12, unknown=10), make_head(300, 2, output="sigmoid", seed=1)
    metrics = summarise(make_predictions(angle=angle, width=width))
    right = int(((angle.predicted() == angle.labels) & (width.predicted() == width.labels)).sum())
    assert (metrics.whole.n, metrics.whole.correct) == (290, right)
    assert metrics.whole.accuracy == Figure(right / 290, *wilson(right, 290))
    assert metrics.heads["angle"].n == 290
    assert metrics.heads["width"].n == 300
    assert metrics.heads["width"].top_k == {}
    total = classification.total_loss(make_predictions(angle=angle, width=width))
    assert metrics.loss.value == pytest.approx(total, rel=1e-12)


def test_a_class_never_predicted_has_no_precision(make_predictions: MakePredictions) -> None:
    head = HeadPredictions(
        class_names=("a", "b"), labels=np.array([0, 1, 1]), logits=np.array([[1.0, 0.0]] * 3)
    )
    metrics = summarise(make_predictions(label=head)).heads["label"]
    assert metrics.classes[1].precision == Figure(None, None, None)
    assert metrics.classes[1].f1.value == 0.0
    assert metrics.macro.precision.value == pytest.approx((1 / 3 + 0) / 2)


def test_a_split_without_labels_defines_nothing(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    metrics = summarise(make_predictions(label=make_head(5, 3, unknown=5)))
    head = metrics.heads["label"]
    undefined = Figure(None, None, None)
    assert metrics.loss == head.loss == head.accuracy == head.macro.f1 == undefined
    assert head.calibration.error == head.balanced_accuracy == metrics.whole.accuracy == undefined
    assert (metrics.images, head.n, head.correct) == (5, 0, 0)


def test_an_empty_split_defines_nothing(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    metrics = summarise(make_predictions(label=make_head(0, 3)))
    assert metrics.images == 0
    assert metrics.loss.value is None


def test_the_json_has_the_documented_keys(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    predictions = make_predictions(label=make_head(60, 6, unknown=3))
    content = json.loads(json.dumps(summarise(predictions).to_json(), allow_nan=False))
    assert list(content) == ["split", "images", "independent", "level", "loss", "heads", "whole"]
    assert list(content["whole"]) == ["n", "correct", "accuracy"]
    head = content["heads"]["label"]
    assert set(head) == {
        "n", "correct", "loss", "accuracy", "balanced_accuracy", "top_k", "macro", "micro",
        "weighted", "classes", "confusion", "calibration",
    }  # fmt: skip
    assert list(head["top_k"]) == ["2", "3", "5"]
    assert list(head["macro"]) == ["precision", "recall", "f1"]
    assert list(head["classes"][0]) == [
        "name", "support", "predicted", "correct", "precision", "recall", "f1",
    ]  # fmt: skip
    assert list(head["calibration"]) == ["error", "brier", "bins"]
    assert list(head["calibration"]["bins"][0]) == ["low", "high", "n", "confidence", "accuracy"]
    assert list(head["accuracy"]) == ["value", "low", "high"]


def test_the_same_predictions_give_the_same_figures(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    predictions = make_predictions(label=make_head(60, 3))
    once: SplitMetrics = summarise(predictions)
    assert once == summarise(predictions)
    assert once != summarise(predictions, seed=1)


def test_a_higher_level_is_wider(make_head: MakeHead, make_predictions: MakePredictions) -> None:
    predictions = make_predictions(label=make_head(60, 3))
    usual, wide = summarise(predictions), summarise(predictions, level=0.99)
    for one, other in (
        (usual.loss, wide.loss),
        (usual.whole.accuracy, wide.whole.accuracy),
        (usual.heads["label"].macro.f1, wide.heads["label"].macro.f1),
    ):
        assert ends(other)[0] < ends(one)[0]


def test_logits_that_are_no_numbers_are_refused(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    head = make_head(10, 3)
    logits = head.logits.copy()
    logits[3, 0], logits[7] = np.nan, np.inf
    message = (
        "test predictions: head 'label': logits must be finite numbers, those of 2 of 10 images "
        "are not: train again with a smaller learning rate"
    )
    with pytest.raises(DivergedError, match=f"^{re.escape(message)}$"):
        summarise(make_predictions(label=replace(head, logits=logits)))

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax
from tests.metrics.conftest import MakeHead

from convoscope.errors import ShapeError
from convoscope.metrics.predictions import HeadPredictions, Predictions, sigmoid


def test_softmax_probabilities_are_those_of_scipy(make_head: MakeHead) -> None:
    head = make_head(50, 7)
    np.testing.assert_allclose(
        head.probabilities(), softmax(head.logits.astype(np.float64), axis=1), rtol=1e-13
    )


def test_a_two_class_sigmoid_gives_both_columns(make_head: MakeHead) -> None:
    head = make_head(50, 2, output="sigmoid")
    probabilities = head.probabilities()
    assert probabilities.shape == (50, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(probabilities[:, 1], expit(head.logits[:, 0].astype(float)))


def test_a_sigmoid_with_a_unit_per_class_gives_each_its_own_probability(
    make_head: MakeHead,
) -> None:
    head = make_head(50, 4, output="sigmoid")
    np.testing.assert_allclose(head.probabilities(), expit(head.logits.astype(float)))
    np.testing.assert_array_equal(head.predicted(), head.logits.argmax(axis=1))


def test_saturated_logits_neither_overflow_nor_lose_the_small_side() -> None:
    np.testing.assert_allclose(
        sigmoid(np.array([-1e4, -700.0, 0.0, 40.0, 1e4])), [0, np.exp(-700), 0.5, 1, 1], rtol=1e-12
    )
    head = HeadPredictions(
        class_names=("a", "b"), labels=np.array([0]), logits=np.array([[1e30, -1e30]])
    )
    np.testing.assert_array_equal(head.probabilities(), [[1, 0]])


def test_the_threshold_of_a_sigmoid_is_one_half() -> None:
    head = HeadPredictions(
        class_names=("no", "yes"),
        labels=np.array([0, 1, 1]),
        logits=np.array([[-0.1], [0.1], [0.0]]),
        output="sigmoid",
    )
    assert head.predicted().tolist() == [0, 1, 0]
    assert head.predicted().tolist() == head.probabilities().argmax(axis=1).tolist()


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.73, 0.99])
def test_a_chosen_threshold_is_a_probability(make_head: MakeHead, threshold: float) -> None:
    head = replace(make_head(200, 2, output="sigmoid"), threshold=threshold)
    assert head.predicted().tolist() == (head.probabilities()[:, 1] > threshold).tolist()


def test_logits_of_other_classes_are_refused() -> None:
    message = (
        "the logits of 3 images and 4 classes must have shape (3, 4), got (3, 5): "
        "predict again with the network that these classes belong to"
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        HeadPredictions(
            class_names=("a", "b", "c", "d"), labels=np.zeros(3, np.int64), logits=np.zeros((3, 5))
        )


@pytest.mark.parametrize("label", [-2, 2])
def test_labels_of_other_classes_are_refused(label: int) -> None:
    with pytest.raises(ShapeError, match="labels must be class indices from 0 to 1, or -1 where"):
        HeadPredictions(class_names=("a", "b"), labels=np.array([label]), logits=np.zeros((1, 2)))


def test_a_head_must_speak_of_all_images(make_head: MakeHead) -> None:
    message = (
        "test predictions: head 'class' must have one label per image, got 3 labels for 2 images: "
        "predict again"
    )
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        Predictions(split="test", ids=("a", "b"), heads={"class": make_head(3)})

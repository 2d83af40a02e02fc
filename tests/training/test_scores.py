from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.training.conftest import draw_blobs, head_of

from convoscope.errors import DataError
from convoscope.metrics import classification
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.training.scores import scores


def drawn(purpose: str) -> HeadPredictions:
    images, labels = draw_blobs(30, purpose)
    return head_of(labels, images.reshape(30, -1)[:, :3])


def split_of(**heads: HeadPredictions) -> Predictions:
    return Predictions(split="any", ids=tuple(str(i) for i in range(30)), heads=heads)


def test_one_head_scores_loss_and_accuracy() -> None:
    head = drawn("a")
    assert scores("validation", split_of(a=head), {}) == {
        "validation_loss": classification.head_loss(head),
        "validation_accuracy": classification.head_accuracy(head),
    }


def test_several_heads_score_the_whole_and_each() -> None:
    a, b = drawn("a"), drawn("b")
    found = scores("validation", split_of(a=a, b=b), {"b": 0.5})
    assert list(found) == [
        "validation_loss",
        "validation_accuracy",
        "validation_accuracy/a",
        "validation_accuracy/b",
    ]
    assert found["validation_loss"] == pytest.approx(
        classification.head_loss(a) + 0.5 * classification.head_loss(b)
    )
    both = (a.predicted() == a.labels) & (b.predicted() == b.labels)
    assert found["validation_accuracy"] == both.mean()
    assert found["validation_accuracy/b"] == classification.head_accuracy(b)


def test_the_train_split_does_not_replace_the_learnt_loss() -> None:
    assert set(scores("train", split_of(a=drawn("a")), {})) == {
        "train_evaluated_loss",
        "train_accuracy",
    }


def test_an_accuracy_that_no_image_defines_is_left_out() -> None:
    a, b = drawn("a"), drawn("b")
    half = np.arange(30) < 15
    a = replace(a, labels=np.where(half, a.labels, -1))
    b = replace(b, labels=np.where(half, -1, b.labels))
    found = scores("validation", split_of(a=a, b=b), {})
    assert set(found) == {"validation_loss", "validation_accuracy/a", "validation_accuracy/b"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_finite_has_no_loss(value: float) -> None:
    head = drawn("a")
    logits = np.array(head.logits)
    logits[4] = value
    found = scores("validation", split_of(a=replace(head, logits=logits)), {})
    assert math.isnan(found["validation_loss"])


def test_a_split_without_labels_is_refused() -> None:
    head = replace(drawn("a"), labels=np.full(30, -1))
    message = (
        "validation split, head 'a': a split that is evaluated needs labelled images, "
        "found none among 30: leave the split out or label it"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        scores("validation", split_of(a=head), {})

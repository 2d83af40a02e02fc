from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.metrics.conftest import MakeHead, MakePredictions

from convoscope.metrics import classification
from convoscope.metrics.classification import CellCounts
from convoscope.metrics.predictions import HeadPredictions, Output

CASES = [(5, "softmax"), (96, "softmax"), (2, "softmax"), (2, "sigmoid"), (4, "sigmoid")]
every_kind = pytest.mark.parametrize(("classes", "output"), CASES)


def slow_loss(head: HeadPredictions) -> float:
    """One image at a time, from the definition of cross-entropy."""
    total = 0.0
    for label, logits in zip(head.labels.tolist(), head.logits.tolist(), strict=True):
        if head.output == "softmax":
            total -= math.log(math.exp(logits[label]) / sum(math.exp(z) for z in logits))
            continue
        truths = [label] if len(logits) == 1 else [float(k == label) for k in range(len(logits))]
        probabilities = [1 / (1 + math.exp(-z)) for z in logits]
        units = zip(truths, probabilities, strict=True)
        total -= sum(t * math.log(p) + (1 - t) * math.log(1 - p) for t, p in units) / len(logits)
    return total / len(head.labels)


@every_kind
def test_the_loss_is_the_cross_entropy(make_head: MakeHead, classes: int, output: Output) -> None:
    head = make_head(60, classes, output=output)
    assert classification.head_loss(head) == pytest.approx(slow_loss(head), rel=1e-12)


def test_the_loss_of_a_softmax_is_that_of_scikit_learn(make_head: MakeHead) -> None:
    head = make_head(300, 6)
    theirs = sk.log_loss(head.labels, head.probabilities(), labels=range(6))
    assert classification.head_loss(head) == pytest.approx(theirs, rel=1e-12)


def test_saturated_logits_have_a_finite_loss() -> None:
    logits = np.array([[1e4, 0.0], [0.0, 1e4]])
    softmax = HeadPredictions(class_names=("a", "b"), labels=np.array([1, 1]), logits=logits)
    assert classification.losses(softmax).tolist() == [1e4, 0.0]
    binary = HeadPredictions(
        class_names=("a", "b"), labels=np.array([1, 0]), logits=-logits[:, :1], output="sigmoid"
    )
    assert classification.losses(binary).tolist() == pytest.approx([1e4, math.log(2)])


def test_a_tiny_binary_loss_is_not_lost() -> None:
    head = HeadPredictions(
        class_names=("a", "b"), labels=np.array([1]), logits=np.array([[50.0]]), output="sigmoid"
    )
    assert classification.head_loss(head) == pytest.approx(math.exp(-50), rel=1e-9)


def test_unknown_labels_take_part_in_nothing(make_head: MakeHead) -> None:
    head = make_head(100, 4, unknown=30)
    labelled = classification.known(head)
    assert len(labelled.labels) == 70
    assert classification.head_loss(head) == pytest.approx(slow_loss(labelled), rel=1e-12)
    assert classification.confusion(head).sum() == 70
    assert classification.head_accuracy(head) == pytest.approx(
        sk.accuracy_score(labelled.labels, labelled.predicted())
    )


def test_without_a_label_nothing_is_defined(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    head = make_head(5, 3, unknown=5)
    assert math.isnan(classification.head_loss(head))
    assert math.isnan(classification.head_accuracy(head))
    assert math.isnan(classification.whole_accuracy(make_predictions(a=head)))


def test_the_total_loss_adds_weighted_heads(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    a, b = make_head(40, 3), make_head(40, 2, output="sigmoid", seed=1)
    expected = classification.head_loss(a) + 0.25 * classification.head_loss(b)
    found = classification.total_loss(make_predictions(a=a, b=b), {"b": 0.25})
    assert found == pytest.approx(expected, rel=1e-15)


def test_the_whole_is_right_only_where_all_heads_are(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    a, b = make_head(300, 3, unknown=20), make_head(300, 2, output="sigmoid", seed=1)
    right, known = 0, 0
    for i in range(300):
        if a.labels[i] >= 0 and b.labels[i] >= 0:
            known += 1
            right += a.predicted()[i] == a.labels[i] and b.predicted()[i] == b.labels[i]
    assert known == 280
    assert classification.whole_accuracy(make_predictions(a=a, b=b)) == right / known
    assert right / known < classification.head_accuracy(a)


@every_kind
def test_the_confusion_matrix_is_that_of_scikit_learn(
    make_head: MakeHead, classes: int, output: Output
) -> None:
    head = make_head(500, classes, output=output, skill=1.0)
    np.testing.assert_array_equal(
        classification.confusion(head),
        sk.confusion_matrix(head.labels, head.predicted(), labels=range(classes)),
    )


@every_kind
def test_precision_recall_and_f1_are_those_of_scikit_learn(
    make_head: MakeHead, classes: int, output: Output
) -> None:
    head = make_head(700, classes, output=output, skill=1.0)
    counted = classification.counts(classification.confusion(head))
    theirs = sk.precision_recall_fscore_support(
        head.labels, head.predicted(), labels=range(classes), zero_division=np.nan
    )
    ours = [f(counted) for f in (classification.precision, classification.recall)]
    for one, other in zip([*ours, classification.f1(counted)], theirs[:3], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)
    np.testing.assert_array_equal(counted.support, theirs[3])


@every_kind
def test_means_over_classes_are_those_of_scikit_learn(
    make_head: MakeHead, classes: int, output: Output
) -> None:
    head = make_head(700, classes, output=output, skill=1.0)
    means = classification.means(classification.counts(classification.confusion(head)))
    theirs = [
        sk.precision_recall_fscore_support(
            head.labels, head.predicted(), labels=range(classes), average=average, zero_division=0
        )[:3]
        for average in ("macro", "weighted")
    ]
    np.testing.assert_allclose(means, np.concatenate(theirs), rtol=1e-12)
    balanced = sk.balanced_accuracy_score(head.labels, head.predicted())
    assert means[1] == pytest.approx(balanced, rel=1e-14)


def lopsided() -> HeadPredictions:
    """Class 1 is never predicted, class 2 never occurs, class 3 neither."""
    return HeadPredictions(
        class_names=("a", "b", "c", "d"),
        labels=np.array([0, 0, 0, 1, 1]),
        logits=np.eye(4)[[0, 0, 2, 0, 2]],
    )


def test_what_is_undefined_is_nan_and_warns_of_nothing() -> None:
    counted = classification.counts(classification.confusion(lopsided()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(classification.precision(counted), [2 / 3, np.nan, 0, np.nan])
        np.testing.assert_allclose(classification.recall(counted), [2 / 3, 0, np.nan, np.nan])
        np.testing.assert_allclose(classification.f1(counted), [2 / 3, 0, 0, np.nan])


def test_giving_a_class_up_does_not_raise_macro_precision() -> None:
    """Over the classes that occur, a class never predicted counting 0, as scikit-learn does it."""
    head = lopsided()
    theirs = sk.precision_recall_fscore_support(
        head.labels, head.predicted(), labels=[0, 1], average="macro", zero_division=0
    )
    counted = classification.counts(classification.confusion(head))
    np.testing.assert_allclose(classification.means(counted)[:3], theirs[:3])
    assert classification.means(counted)[0] == pytest.approx((2 / 3 + 0) / 2)


def test_means_of_no_images_are_undefined() -> None:
    nothing = classification.counts(np.zeros((3, 3), np.int64))
    assert np.isnan(classification.means(nothing)).all()


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_ranks_below_k_are_the_top_k_of_scikit_learn(make_head: MakeHead, k: int) -> None:
    head = make_head(400, 8, skill=0.5)
    share = float((classification.ranks(head) < k).mean())
    theirs = sk.top_k_accuracy_score(head.labels, head.logits, k=k, labels=range(8))
    assert share == pytest.approx(theirs, rel=1e-15)


def test_of_equal_logits_the_smaller_index_is_preferred() -> None:
    head = HeadPredictions(
        class_names=("a", "b", "c"), labels=np.array([0, 1, 2]), logits=np.zeros((3, 3))
    )
    assert classification.ranks(head).tolist() == [0, 1, 2]
    assert ((classification.ranks(head) == 0) == (head.predicted() == head.labels)).all()


def test_the_rank_of_a_two_class_sigmoid_says_right_or_wrong(make_head: MakeHead) -> None:
    head = make_head(50, 2, output="sigmoid", skill=0.5)
    np.testing.assert_array_equal(classification.ranks(head) == 0, head.predicted() == head.labels)


def test_filled_cells_give_the_same_counts_as_the_whole_matrix() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 3, (9, 9)) * rng.integers(0, 2, (9, 9))
    matrix[4] = 0
    matrix[:, 4] = 0
    cells = CellCounts(matrix)
    resampled = np.stack([cells.cells, 3 * cells.cells])
    found, expected = cells(resampled), classification.counts(matrix)
    for times, row in ((1, 0), (3, 1)):
        np.testing.assert_array_equal(found.correct[row], times * expected.correct)
        np.testing.assert_array_equal(found.support[row], times * expected.support)
        np.testing.assert_array_equal(found.predicted[row], times * expected.predicted)

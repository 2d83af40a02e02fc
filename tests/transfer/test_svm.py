from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from convoscope.arrays import Array, IntArray, generator
from convoscope.errors import DataError
from convoscope.transfer.svm import CHOICES, USUAL, Solved, solve

TRAIN, VALIDATION = np.arange(60), np.arange(60, 90)


def clouds(classes: int, *, dimensions: int = 12, spread: float = 1.0) -> tuple[Array, IntArray]:
    """90 points around a centre per class, on features of very different sizes."""
    rng = generator(0, "clouds", classes)
    labels = np.arange(90) % classes
    centres = rng.normal(0, 2, (classes, dimensions))
    points = centres[labels] + spread * rng.normal(0, 1, (90, dimensions))
    sizes = np.logspace(-1, 1, dimensions)
    return (points * sizes + 5 * sizes).astype(np.float32), labels


def solved(
    points: Array, labels: IntArray, classes: int, validation: IntArray = VALIDATION, units: int = 0
) -> Solved:
    return solve(
        points,
        labels,
        classes,
        train=TRAIN,
        validation=validation,
        units=units or classes,
        is_balanced=False,
        seed=0,
    )


def test_the_layer_gives_the_machine_s_margins_of_features_as_they_are() -> None:
    points, labels = clouds(3)
    found = solved(points, labels, 3)
    mean, sd = points[TRAIN].mean(axis=0), points[TRAIN].std(axis=0)
    sd = np.maximum(sd, 0.1 * np.sqrt((sd**2).mean()))
    oracle = LinearSVC(C=found.c, dual=False, max_iter=2000, random_state=0)
    oracle.fit((points[TRAIN] - mean) / sd, labels[TRAIN])
    expected = oracle.decision_function((points - mean) / sd)
    np.testing.assert_allclose(found.logits(points), expected, atol=1e-3)


def test_classes_that_can_be_told_apart_are() -> None:
    points, labels = clouds(4, spread=0.3)
    assert solved(points, labels, 4).right == 1


def test_the_widest_margin_of_those_that_are_right_as_often_is_chosen() -> None:
    points, labels = clouds(3, spread=0.01)
    assert solved(points, labels, 3).c == CHOICES[0]


def test_a_single_sigmoid_gets_one_margin() -> None:
    points, labels = clouds(2, spread=0.3)
    found = solved(points, labels, 2, units=1)
    assert found.weight.shape == (1, 12)
    assert ((found.logits(points)[:, 0] > 0) == labels).mean() == 1


def test_two_classes_of_a_softmax_get_opposite_margins() -> None:
    points, labels = clouds(2, spread=0.3)
    margins = solved(points, labels, 2).logits(points)
    np.testing.assert_allclose(margins[:, 0], -margins[:, 1], atol=1e-4)
    assert (margins.argmax(axis=1) == labels).all()


def test_a_class_without_training_images_is_never_the_answer() -> None:
    points, labels = clouds(3, spread=0.3)
    found = solved(points, labels, 5)
    assert found.weight.shape == (5, 12)
    assert set(found.logits(points).argmax(axis=1)) == {0, 1, 2}
    np.testing.assert_array_equal(found.logits(points)[:, 3:], -1)


def test_without_validation_c_is_the_usual_one() -> None:
    points, labels = clouds(3)
    found = solved(points, labels, 3, validation=np.arange(0))
    assert (found.c, found.right) == (USUAL, None)


def test_images_whose_label_is_not_known_say_nothing() -> None:
    points, labels = clouds(3)
    hidden = labels.copy()
    hidden[[0, 7, 61]] = -1
    moved = points.copy()
    moved[[0, 7, 61]] += 1000
    one, other = solved(points, hidden, 3), solved(moved, hidden, 3)
    np.testing.assert_array_equal(one.weight, other.weight)


def test_one_class_alone_cannot_be_told_from_anything() -> None:
    points, _ = clouds(3)
    with pytest.raises(DataError, match="training images of two classes at least, got 1: add"):
        solved(points, np.zeros(90, np.int64), 3)

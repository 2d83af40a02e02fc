from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from convoscope.arrays import FloatArray, IntArray
from convoscope.metrics.doubts import ambiguous, doubted_labels
from convoscope.metrics.predictions import HeadPredictions, Predictions


def predictions(labels: IntArray, logits: FloatArray, classes: int) -> Predictions:
    head = HeadPredictions(
        class_names=tuple(map(str, range(classes))), labels=labels, logits=logits
    )
    ids = tuple(f"image-{i}" for i in range(len(labels)))
    return Predictions(split="out-of-fold", ids=ids, heads={"class": head})


def slow_doubts(said: HeadPredictions) -> set[int]:
    """The definition of confident learning, an image and a class at a time."""
    p, doubted = said.probabilities(), set()
    threshold = {
        k: np.mean([p[i, k] for i in range(len(p)) if said.labels[i] == k])
        for k in set(said.labels.tolist())
    }
    for i in range(len(p)):
        reached = [k for k in threshold if p[i, k] >= threshold[k]]
        if reached and max(reached, key=lambda k: p[i, k]) != said.labels[i]:
            doubted.add(i)
    return doubted


@pytest.fixture(scope="module")
def digits_with_wrong_labels() -> tuple[Predictions, set[str]]:
    """Out-of-fold predictions of real digits, 5 % of whose labels were changed."""
    pixels, truth = load_digits(return_X_y=True)
    pixels, truth = pixels[:800], truth[:800].astype(np.int64)
    rng = np.random.default_rng(0)
    changed = rng.choice(len(truth), 40, replace=False)
    labels = truth.copy()
    labels[changed] = (truth[changed] + rng.integers(1, 10, 40)) % 10
    model = KNeighborsClassifier(10)
    p = cross_val_predict(model, pixels, labels, cv=4, method="predict_proba")
    return predictions(labels, np.log(p + 1e-6), 10), {f"image-{i}" for i in changed}


def test_doubts_follow_the_definition(
    digits_with_wrong_labels: tuple[Predictions, set[str]],
) -> None:
    said, _ = digits_with_wrong_labels
    expected = {f"image-{i}" for i in slow_doubts(said.heads["class"])}
    assert {doubt.id for doubt in doubted_labels(said, "class")} == expected


def test_changed_labels_of_real_digits_are_found_first(
    digits_with_wrong_labels: tuple[Predictions, set[str]],
) -> None:
    said, changed = digits_with_wrong_labels
    doubts = doubted_labels(said, "class")
    first = {doubt.id for doubt in doubts[:40]}
    assert len(first & changed) >= 24  # chance finds 2
    margins = [d.given_probability - d.suggested_probability for d in doubts]
    assert margins == sorted(margins)


def test_unlabelled_images_are_not_doubted_and_a_class_without_images_is_not_suggested() -> None:
    logits = np.array([[5.0, 0, 0], [0, 5.0, 0], [0, 0, 9.0], [9.0, 0, 0]])
    said = predictions(np.array([0, 1, 1, -1]), logits, 3)
    assert doubted_labels(said, "class") == ()


def test_the_most_ambiguous_image_comes_first() -> None:
    logits = np.log(np.array([[0.5, 0.4, 0.1], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]]))
    said = predictions(np.array([0, -1, 0]), logits, 3)
    first, second = ambiguous(said, "class", count=2)
    assert (first.id, second.id) == ("image-1", "image-0")
    assert (second.first, second.second) == (0, 1)
    assert second.margin == pytest.approx(0.1)


def test_one_class_alone_is_never_ambiguous() -> None:
    said = predictions(np.array([0]), np.array([[1.0]]), 1)
    assert ambiguous(said, "class") == ()

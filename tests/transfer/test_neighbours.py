from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from convoscope.arrays import FloatArray, IntArray, generator
from convoscope.transfer.neighbours import CHOICES, USUAL, Neighbours, choose, directions


def clouds(per_class: int = 30, noise: float = 0.4) -> tuple[FloatArray, IntArray]:
    """Unit vectors (N, 6) around three directions, and which one."""
    rng = generator(0, "clouds")
    labels = np.tile(np.arange(3), per_class)
    points = np.eye(6)[labels] + rng.normal(0, noise, (len(labels), 6))
    return points / np.linalg.norm(points, axis=1, keepdims=True), labels


@pytest.mark.parametrize("k", [1, 5, 20])
def test_votes_are_those_of_scikit_learn(k: int) -> None:
    vectors, labels = clouds()
    oracle = KNeighborsClassifier(k, metric="cosine").fit(vectors[:60], labels[:60])
    ours = Neighbours(vectors=vectors[:60], labels=labels[:60], classes=3, k=k)
    shares = np.exp(ours.logits(vectors[60:]))
    np.testing.assert_allclose(
        shares, (oracle.predict_proba(vectors[60:]) * k + 1 / 3) / (k + 1), rtol=1e-5
    )
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_k_is_the_one_that_is_right_most_often_on_validation() -> None:
    vectors, labels = clouds(noise=0.8)
    train, validation = np.arange(60), np.arange(60, 90)
    found = choose(vectors, labels, 3, train=train, validation=validation)
    right = {
        k: (
            Neighbours(vectors=vectors[train], labels=labels[train], classes=3, k=k)
            .logits(vectors[validation])
            .argmax(axis=1)
            == labels[validation]
        ).sum()
        for k in CHOICES
    }
    assert found.k == max(right, key=lambda k: right[k])
    assert len(set(right.values())) > 1


def test_without_validation_the_usual_number_votes_and_never_more_than_there_are() -> None:
    vectors, labels = clouds()
    none = np.zeros(0, np.int64)
    assert choose(vectors, labels, 3, train=np.arange(60), validation=none).k == USUAL
    assert choose(vectors, labels, 3, train=np.arange(3), validation=none).k == 3
    assert choose(vectors, labels, 3, train=np.arange(2), validation=np.arange(60, 90)).k == 1


def test_images_without_a_label_have_no_vote() -> None:
    vectors, labels = clouds()
    hidden = labels.copy()
    hidden[:10] = -1
    found = choose(vectors, hidden, 3, train=np.arange(30), validation=np.arange(0, 0))
    assert len(found.labels) == 20
    assert found.labels.min() >= 0


def test_directions_are_means_over_places_of_length_one() -> None:
    maps = generator(0, "maps").random((300, 2, 3, 4)).astype(np.float16)
    maps[7] = 0
    found = directions(maps)
    mean = maps.astype(np.float64).mean(axis=(1, 2))
    expected = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(found, expected, atol=1e-5)

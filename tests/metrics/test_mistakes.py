"""The choice of pictures follows from predictions alone."""

from __future__ import annotations

import numpy as np

from convoscope.metrics.mistakes import (
    MISTAKES_SHOWN,
    SAMPLE_BUDGET,
    class_samples,
    most_confident_mistakes,
    pictures_needed,
)
from convoscope.metrics.predictions import HeadPredictions, Predictions


def predictions(labels: list[int], logits: list[list[float]], split: str = "test") -> Predictions:
    classes = tuple("abcdefghij"[: len(logits[0])])
    head = HeadPredictions(
        class_names=classes, labels=np.array(labels, dtype=np.int64), logits=np.array(logits)
    )
    return Predictions(
        split=split, ids=tuple(f"{split}/{k}" for k in range(len(labels))), heads={"class": head}
    )


def test_mistakes_come_most_confident_first_and_right_answers_never() -> None:
    said = predictions([0, 0, 1, 1], [[5, 0], [0, 2], [9, 0], [0, 1]])
    mistakes = most_confident_mistakes(said, "class")
    assert [mistake.id for mistake in mistakes] == ["test/2", "test/1"]
    assert [(m.true, m.predicted) for m in mistakes] == [(1, 0), (0, 1)]
    assert mistakes[0].confidence == 1 / (1 + np.exp(-9))
    assert np.isclose(mistakes[1].true_probability, 1 / (1 + np.exp(2)))


def test_an_image_of_unknown_label_is_no_mistake() -> None:
    assert most_confident_mistakes(predictions([-1, 0], [[0, 9], [9, 0]]), "class") == ()


def test_equally_confident_mistakes_keep_the_order_of_the_split() -> None:
    said = predictions([0] * 20, [[0, 1]] * 20)
    ids = [mistake.id for mistake in most_confident_mistakes(said, "class")]
    assert ids == [f"test/{k}" for k in range(MISTAKES_SHOWN)]


def test_samples_of_a_class_are_spread_over_the_split() -> None:
    said = predictions([0, 1] * 80, [[1, 0]] * 160)
    zeros, ones = class_samples(said, "class")
    assert zeros == tuple(f"test/{k}" for k in range(0, 160, 20))
    assert len(ones) == len(zeros)


def test_a_class_without_images_has_no_samples_and_many_classes_share_the_budget() -> None:
    labels = [k for k in range(100) if k != 7] * 3
    head = HeadPredictions(
        class_names=tuple(str(k) for k in range(100)),
        labels=np.array(labels, dtype=np.int64),
        logits=np.zeros((len(labels), 100)),
    )
    ids = tuple(str(k) for k in range(len(labels)))
    samples = class_samples(Predictions(split="train", ids=ids, heads={"class": head}), "class")
    assert samples[7] == ()
    assert {len(names) for k, names in enumerate(samples) if k != 7} == {1}
    assert sum(map(len, samples)) <= SAMPLE_BUDGET


def test_pictures_needed_are_samples_of_the_first_split_and_mistakes_of_each_without_repeats() -> (
    None
):
    train = predictions([0, 1], [[0, 1], [0, 1]], split="train")
    test = predictions([0, 1, 1], [[1, 0], [0, 1], [1, 0]], split="test")
    needed = pictures_needed([train, test])
    assert needed == ("train/0", "train/1", "test/2")

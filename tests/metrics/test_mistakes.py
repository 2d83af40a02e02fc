from __future__ import annotations

import numpy as np
import pytest
from tests.metrics.conftest import MakeHead, MakePredictions

from convoscope.metrics.mistakes import (
    SAMPLE_BUDGET,
    SAMPLES_AT_MOST,
    class_samples,
    most_confident_mistakes,
    pictures_needed,
)
from convoscope.metrics.predictions import HeadPredictions


def test_mistakes_are_the_wrong_ones_most_confident_first(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    head = make_head(100, 4, skill=0.5, unknown=10)
    probabilities = head.probabilities()
    wrong = [
        (-probabilities[i].max(), i)
        for i in range(100)
        if head.labels[i] >= 0 and probabilities[i].argmax() != head.labels[i]
    ]
    found = most_confident_mistakes(make_predictions(a=head), "a", count=20)
    assert [mistake.id for mistake in found] == [f"image-{i}" for _, i in sorted(wrong)[:20]]
    i = sorted(wrong)[0][1]
    assert (found[0].true, found[0].predicted) == (head.labels[i], probabilities[i].argmax())
    assert found[0].confidence == pytest.approx(probabilities[i].max())
    assert found[0].true_probability == pytest.approx(probabilities[i, head.labels[i]])


def test_a_perfect_network_makes_none(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    assert most_confident_mistakes(make_predictions(a=make_head(50, skill=99.0)), "a") == ()


@pytest.mark.parametrize(("classes", "each"), [(3, SAMPLES_AT_MOST), (30, 4), (500, 1)])
def test_classes_share_the_budget_of_samples(
    make_predictions: MakePredictions, classes: int, each: int
) -> None:
    labels = np.repeat(np.arange(classes), 10)
    head = HeadPredictions(
        class_names=tuple(map(str, range(classes))),
        labels=labels,
        logits=np.zeros((len(labels), classes)),
    )
    samples = class_samples(make_predictions(a=head), "a")
    assert [len(names) for names in samples] == [each] * classes
    assert each == 1 or each * classes <= SAMPLE_BUDGET
    for k, names in enumerate(samples):
        assert all(labels[int(name.removeprefix("image-"))] == k for name in names)
        assert len(set(names)) == each


def test_a_class_gives_what_it_has_and_spreads_what_it_chooses(
    make_predictions: MakePredictions,
) -> None:
    head = HeadPredictions(
        class_names=("few", "none", "many"),
        labels=np.array([0, 0] + [2] * 16),
        logits=np.zeros((18, 3)),
    )
    few, none, many = class_samples(make_predictions(a=head), "a")
    assert few == ("image-0", "image-1")
    assert none == ()
    assert many == tuple(f"image-{i}" for i in range(2, 18, 2))


def test_the_pictures_needed_are_samples_of_the_first_split_and_mistakes_of_all(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    train = make_predictions(a=make_head(60, 3), b=make_head(60, 2, seed=1))
    test = make_predictions(a=make_head(60, 3, skill=0.1, seed=2))
    needed = pictures_needed([train, test])
    expected = {
        name for head in ("a", "b") for names in class_samples(train, head) for name in names
    }
    for split, heads in ((train, ("a", "b")), (test, ("a",))):
        for head in heads:
            expected |= {mistake.id for mistake in most_confident_mistakes(split, head)}
    assert set(needed) == expected
    assert len(set(needed)) == len(needed)

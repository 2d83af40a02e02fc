from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.metrics.conftest import MakeHead, MakePredictions

from convoscope.errors import DataError, UnknownNameError
from convoscope.metrics.comparison import compare_accuracy, holm, mcnemar
from convoscope.metrics.predictions import HeadPredictions, Predictions


def judged(right: str, labels: int | None = None) -> Predictions:
    """Two classes, all images truly of class 0; ``1`` where the network is right."""
    answers = np.array([int(letter) for letter in right])
    known = np.where(np.arange(len(right)) < (len(right) if labels is None else labels), 0, -1)
    head = HeadPredictions(class_names=("a", "b"), labels=known, logits=np.eye(2)[1 - answers])
    return Predictions(
        split="test", ids=tuple(str(i) for i in range(len(right))), heads={"class": head}
    )


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 5), (1, 0), (3, 9), (200, 160)])
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    one = judged("1" * first + "0" * second + "1100")
    other = judged("0" * first + "1" * second + "1100")
    found = mcnemar(one, other, "class")
    assert (found.only_first, found.only_second) == (first, second)
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_images_does_not_overflow() -> None:
    one, other = judged("1" * 9000 + "0" * 9300), judged("0" * 9000 + "1" * 9300)
    expected = stats.binomtest(9000, 18300).pvalue
    assert mcnemar(one, other, "class").p_value == pytest.approx(expected, rel=1e-6)


def test_the_gain_is_the_difference_of_the_accuracies() -> None:
    gain = compare_accuracy(judged("1100000000"), judged("1111100000"), "class")
    assert gain.value == pytest.approx(0.3)
    assert gain.low is not None
    assert gain.high is not None
    assert 0 <= gain.low < 0.3 < gain.high


def test_the_pairing_makes_the_interval_narrower() -> None:
    """Networks that err on the same images are told apart better than two independent ones."""
    alike = compare_accuracy(judged("1" * 50 + "0" * 50), judged("1" * 52 + "0" * 48), "class")
    apart = compare_accuracy(judged("1" * 50 + "0" * 50), judged("0" * 48 + "1" * 52), "class")
    assert alike.value == apart.value == pytest.approx(0.02)
    assert alike.high is not None
    assert apart.high is not None
    assert alike.high < apart.high


def test_the_order_of_the_images_does_not_matter(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    one, other = make_predictions(a=make_head(80)), make_predictions(a=make_head(80, skill=1.0))
    order = np.random.default_rng(0).permutation(80)
    head = other.heads["a"]
    shuffled = replace(
        other,
        ids=tuple(other.ids[i] for i in order),
        heads={"a": replace(head, labels=head.labels[order], logits=head.logits[order])},
    )
    assert compare_accuracy(one, shuffled, "a") == compare_accuracy(one, other, "a")
    assert mcnemar(one, shuffled, "a") == mcnemar(one, other, "a")


def test_unknown_labels_are_left_out() -> None:
    gain = compare_accuracy(judged("1000", labels=2), judged("1111", labels=2), "class")
    assert gain.value == 0.5


def test_other_images_are_refused() -> None:
    message = (
        "head 'class': two networks can be compared on the same images only, 3 and 2 share 2: "
        "test both on the same split"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        mcnemar(judged("111"), judged("11"), "class")


def test_other_labels_are_refused() -> None:
    with pytest.raises(DataError, match="on the same labels only, 1 of 3 differ: test both on"):
        mcnemar(judged("111"), judged("111", labels=2), "class")


def test_a_comparison_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="a comparison needs images whose label is known"):
        compare_accuracy(judged("11", labels=0), judged("11", labels=0), "class")


def test_an_unknown_head_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="there is no head 'clas': did you mean 'class'"):
        mcnemar(judged("1"), judged("1"), "clas")


def test_without_a_head_an_image_is_right_where_all_heads_are() -> None:
    colour, size = judged("1100").heads["class"], judged("1010").heads["class"]
    one = Predictions(split="test", ids=tuple("abcd"), heads={"colour": colour, "size": size})
    other = Predictions(split="test", ids=tuple("abcd"), heads={"colour": colour, "size": colour})
    found = mcnemar(one, other, None)
    assert (found.only_first, found.only_second) == (0, 1)
    assert compare_accuracy(one, other, None).value == pytest.approx(0.25)


@pytest.mark.parametrize(
    "p_values", [(0.01, 0.04, 0.03, 0.005), (0.2, 0.001), (1.0, 1.0, 0.5), (0.04,), ()]
)
def test_holm_rejects_what_stepping_down_rejects(p_values: tuple[float, ...]) -> None:
    """The procedure as it is published: step down while p <= level / (n - rank), then stop."""
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.1, 0.4):
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[index] > level / (len(p_values) - rank):
                break
            rejected.add(index)
        assert {i for i, p in enumerate(adjusted) if p <= level + 1e-12} == rejected


def test_a_holm_adjusted_value_is_a_probability_and_keeps_the_order() -> None:
    assert holm((0.01, 0.04, 0.03)) == pytest.approx((0.03, 0.06, 0.06))
    assert max(holm((0.9, 0.8, 0.7))) == 1.0


def test_copies_of_a_picture_are_one_vote_and_one_draw(make_head: MakeHead) -> None:
    """Ten copies of each picture say what the pictures say, and not ten times as much."""
    first, second = make_head(60, 3, seed=1), make_head(60, 3, seed=2)
    second = replace(second, labels=first.labels)
    ids = tuple(f"{number:02}" for number in range(60))

    def said(head: HeadPredictions, times: int) -> Predictions:
        many = replace(
            head,
            labels=np.repeat(head.labels, times),
            logits=np.repeat(head.logits, times, axis=0),
        )
        names = tuple(f"{name}/{copy}" for name in ids for copy in range(times))
        groups = tuple(name for name in ids for _ in range(times)) if times > 1 else None
        return Predictions(split="test", ids=names, heads={"class": many}, groups=groups)

    once = mcnemar(said(first, 1), said(second, 1), "class")
    copied = mcnemar(said(first, 10), said(second, 10), "class")
    assert copied.p_value == once.p_value
    assert (copied.only_first, copied.only_second) == (10 * once.only_first, 10 * once.only_second)
    gain = compare_accuracy(said(first, 1), said(second, 1), "class")
    again = compare_accuracy(said(first, 10), said(second, 10), "class")
    assert again.value == pytest.approx(gain.value)
    assert (again.low, again.high) == pytest.approx((gain.low, gain.high))

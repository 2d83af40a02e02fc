"""Factors, counted image by image."""

import numpy as np
import pytest
from tests.metrics.conftest import MakeHead, MakePredictions

from convoscope.metrics.factors import factors_of_names, summarise_factors
from convoscope.metrics.intervals import proportion
from convoscope.metrics.predictions import HeadPredictions, Predictions

NAMES = ("7_red", "7_blue", "15_red", "15_blue")
TABLE = {"length": ("7", "7", "15", "15"), "colour": ("red", "blue", "red", "blue")}


def said(labels: list[int], predicted: list[int], groups: list[str] | None = None) -> Predictions:
    """A head of four classes that said exactly this."""
    logits = np.eye(4)[predicted].astype(np.float32)
    head = HeadPredictions(class_names=NAMES, labels=np.array(labels, np.int64), logits=logits)
    ids = tuple(map(str, range(len(labels))))
    return Predictions(
        split="test", ids=ids, heads={"class": head}, groups=tuple(groups) if groups else None
    )


def test_a_class_taken_for_another_is_wrong_in_the_factors_in_which_they_differ() -> None:
    found = summarise_factors(said([0, 0, 1, 2, 3, 3], [0, 1, 3, 1, 3, 2]), TABLE)
    assert (found.n, found.correct) == (6, 2)
    length, colour = found.factors
    assert (length.values, length.correct) == (("7", "15"), 4)
    assert length.confusion == ((2, 1), (1, 2))
    assert colour.values == ("red", "blue")
    assert colour.confusion == ((1, 2), (1, 2))
    assert colour.accuracy == proportion(3, 6)
    assert found.wrong_together == ((("colour",), 2), (("length",), 1), (("length", "colour"), 1))
    assert sum(count for _, count in found.wrong_together) == found.n - found.correct


def test_an_image_without_a_label_takes_part_in_nothing() -> None:
    found = summarise_factors(said([0, -1, 3], [0, 2, 3]), TABLE)
    assert (found.n, found.correct, found.wrong_together) == (2, 2, ())
    assert sum(map(sum, found.factors[0].confusion)) == 2


def test_heads_are_factors_where_there_are_several(
    make_head: MakeHead, make_predictions: MakePredictions
) -> None:
    predictions = make_predictions(
        size=make_head(80, 3, unknown=4), hue=make_head(80, 2, output="sigmoid")
    )
    found = summarise_factors(predictions)
    known = predictions.heads["size"].labels >= 0
    right = {name: (h.predicted() == h.labels)[known] for name, h in predictions.heads.items()}
    assert found.n == known.sum()
    assert found.correct == (right["size"] & right["hue"]).sum()
    counts = dict(found.wrong_together)
    assert counts[("size",)] == (~right["size"] & right["hue"]).sum()
    assert counts.get(("size", "hue"), 0) == (~right["size"] & ~right["hue"]).sum()
    assert sum(counts.values()) == found.n - found.correct


def test_intervals_count_groups_where_there_are_some() -> None:
    once = summarise_factors(said([0, 1, 2, 3], [0, 1, 0, 3]), TABLE)
    copied = summarise_factors(
        said([0, 1, 2, 3] * 5, [0, 1, 0, 3] * 5, groups=list("abcd") * 5), TABLE
    )
    for one, many in zip(once.factors, copied.factors, strict=True):
        assert one.accuracy.value == many.accuracy.value
        assert one.accuracy.low == pytest.approx(many.accuracy.low, abs=0.1)


def test_names_that_are_all_combinations_speak_of_factors() -> None:
    assert factors_of_names(NAMES) == {"part 1": TABLE["length"], "part 2": TABLE["colour"]}
    same = tuple(f"line-{name.replace('_', '-')}" for name in NAMES)
    assert factors_of_names(same) == {"part 2": TABLE["length"], "part 3": TABLE["colour"]}


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "dog", "bird", "fish"),
        ("car_side", "grand_piano", "helicopter", "laptop"),
        ("7_red", "7_blue", "15_red"),
        ("ice_cream", "ice_bear"),
        ("0", "1"),
    ],
)
def test_other_names_do_not(names: tuple[str, ...]) -> None:
    assert factors_of_names(names) is None

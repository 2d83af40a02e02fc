"""The section on factors: what it counts, what it says, and when it is there."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from tests.report.conftest import Task, write_run

from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.metrics.summary import summarise
from convoscope.report import page
from convoscope.report.factors import factor_orders, factor_table, factors_section
from convoscope.report.printed import check_page, read_page
from convoscope.report.reading import Contents, read
from convoscope.runs.store import Run

SIZES, HUES = ("small", "large"), ("red", "green", "blue")
NAMES = tuple(f"{size}-{hue}" for size, hue in product(SIZES, HUES))
TABLE = {"size": [n.split("-")[0] for n in NAMES], "hue": [n.split("-")[1] for n in NAMES]}


def contents_of(
    run: Run, predicted: list[int], labels: list[int], *, said: bool, groups: list[str] | None
) -> Contents:
    """The contents of a real run, with these predictions of combined classes in their place."""
    head = HeadPredictions(
        class_names=NAMES,
        labels=np.array(labels, np.int64),
        logits=4 * np.eye(len(NAMES))[predicted].astype(np.float32),
    )
    predictions = Predictions(
        split="test",
        ids=tuple(map(str, range(len(labels)))),
        heads={"class": head},
        groups=tuple(groups) if groups else None,
    )
    contents = read(run)
    return replace(
        contents,
        predictions={"test": predictions},
        metrics={"test": summarise(predictions)},
        model={**contents.model, "factors": {"class": TABLE} if said else {}},
        history=[],
        calibration=None,
    )


@pytest.fixture(scope="module")
def two_heads_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two questions about digits."""
    task = Task(
        heads={
            "parity": (("even", "odd"), lambda values: values % 2),
            "size": (("small", "middle", "large"), lambda values: np.minimum(values // 4, 2)),
        },
        epochs=2,
    )
    return write_run(tmp_path_factory.mktemp("two") / "run", task)


LABELS = [0, 0, 1, 2, 3, 4, 5, 5, 5]
PREDICTED = [0, 1, 1, 5, 3, 4, 5, 4, 3]


@pytest.fixture
def contents(digits_run: Run) -> Contents:
    return contents_of(digits_run, PREDICTED, LABELS, said=True, groups=None)


def test_the_worst_factor_is_named_and_all_wrong_pictures_are_told(contents: Contents) -> None:
    (on,) = factors_section(contents)
    assert on.sentence == (
        "Of 9 pictures 4 are wrong in at least one factor. Most often it is the hue, wrong in 3, "
        "and in 3 of them nothing else."
    )
    assert [(s.factors, s.count, s.share) for s in on.sets] == [("hue", 3, 0.75), ("size", 1, 0.25)]
    assert on.rest == 0


def test_the_page_prints_them_and_still_adds_up(contents: Contents) -> None:
    text = page.render(contents)
    check_page(text, contents.metrics)
    printed = read_page(text)
    assert printed.figures["test/factor/hue/wrong"] == ["3"]
    assert printed.figures["test/factor/size/wrong"] == ["1"]
    matrix = printed.matrices["test/factor/hue"]
    assert sum(matrix.values()) == 9
    assert matrix[2, 1] == 1, "a blue picture was taken for a green one"


def test_names_that_are_combinations_speak_for_themselves(digits_run: Run) -> None:
    contents = contents_of(digits_run, PREDICTED, LABELS, said=False, groups=None)
    table = factor_table(contents)
    assert table is not None
    assert list(table) == ["part 1", "part 2"]
    assert list(table["part 2"]) == TABLE["hue"]


def test_a_run_of_plain_classes_has_no_such_section(digits_run: Run) -> None:
    assert factors_section(read(digits_run)) == ()
    assert 'id="factors"' not in page.render(read(digits_run))


def test_heads_are_factors_whose_matrices_stand_in_their_own_sections(two_heads_run: Run) -> None:
    contents = read(two_heads_run)
    first, *_ = factors_section(contents)
    assert [factor.figures.name for factor in first.factors] == list(contents.heads)
    assert all(not factor.matrix for factor in first.factors)
    wrong = sum(found.count for found in first.sets) + first.rest
    whole = contents.metrics[first.split].whole
    assert wrong == whole.n - whole.correct


def test_classes_can_be_ordered_by_each_factor() -> None:
    orders = factor_orders(TABLE)
    assert [NAMES[k] for k in orders["by hue"]] == [
        "small-red", "large-red", "small-green", "large-green", "small-blue", "large-blue"
    ]  # fmt: skip
    assert orders["by size"] == list(range(6))
    assert factor_orders(None) == {}


def test_all_right_is_said_without_matrices(digits_run: Run) -> None:
    contents = contents_of(digits_run, LABELS, LABELS, said=True, groups=None)
    (on,) = factors_section(contents)
    assert on.sentence == "All 9 pictures are right in every factor."
    assert 'factor-matrices"' not in page.render(contents)


def test_the_page_says_how_many_pictures_are_different(digits_run: Run) -> None:
    groups = [f"g{k // 2}" for k in range(9)]
    contents = contents_of(digits_run, PREDICTED, LABELS, said=True, groups=groups)
    text = page.render(contents)
    assert "pictures that belong together, as copies do, count as one: 5 different ones in" in text

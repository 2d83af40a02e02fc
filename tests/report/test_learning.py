from __future__ import annotations

from dataclasses import replace

import pytest

from convoscope.report.learning import STOPPED, learning
from convoscope.report.reading import Contents, read
from convoscope.runs.store import Run


@pytest.fixture(scope="module")
def contents(digits_run: Run) -> Contents:
    return read(digits_run)


def test_there_is_a_chart_of_loss_and_one_of_accuracy_and_a_row_per_epoch(
    contents: Contents,
) -> None:
    section = learning(contents)
    assert section is not None
    assert [name for name, _ in section.charts] == ["loss", "accuracy"]
    assert [row.epoch for row in section.rows] == list(range(1, 13))
    (best,) = [row for row in section.rows if row.is_best]
    assert best.epoch == contents.record.best_epoch
    assert len(best.cells) == len(section.columns)


def test_a_score_that_was_not_measured_is_a_dash_and_a_curve_without_scores_is_left_out(
    contents: Contents,
) -> None:
    bare = [
        {"epoch": row["epoch"], "train_loss": row["train_loss"], "validation_loss": None}
        for row in contents.history
    ]
    section = learning(replace(contents, history=bare))
    assert section is not None
    (chart,) = section.charts
    assert ">validation<" not in chart[1]
    assert section.rows[0].cells[1:] == ("–", "–", "–", "–")


@pytest.mark.parametrize("reason", list(STOPPED))
def test_why_the_learning_ended_is_said(contents: Contents, reason: str) -> None:
    section = learning(replace(contents, record=replace(contents.record, stop_reason=reason)))
    assert section is not None
    assert f"learning ended because {STOPPED[reason]}." in section.sentence


def test_without_history_there_is_no_section(contents: Contents) -> None:
    assert learning(replace(contents, history=[])) is None

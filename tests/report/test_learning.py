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


def test_the_charts_say_where_the_head_alone_ended(contents: Contents) -> None:
    rows = [
        {**row, "phase": "head" if row["epoch"] <= 4 else "last 2" if row["epoch"] < 8 else "tuned"}
        for row in contents.history
    ]
    section = learning(replace(contents, history=rows))
    assert section is not None
    for _, chart in section.charts:
        assert "phases: head alone, then last 2 blocks from epoch 5, all that learns from" in chart
    plain = learning(contents)
    assert plain is not None
    assert all("phases" not in chart for _, chart in plain.charts)


def test_what_frozen_features_took_stands_beside_the_training(contents: Contents) -> None:
    took = {"images": 690, "views": 1, "seconds": 9.14}
    section = learning(replace(contents, record=replace(contents.record, features=took)))
    assert section is not None
    assert section.sentence.replace("\N{NO-BREAK SPACE}", " ").startswith(
        "12 epochs in 3.4 s, after 9.1 s for the frozen features of 690 pictures; learning ended"
    )


def test_without_history_there_is_no_section(contents: Contents) -> None:
    assert learning(replace(contents, history=[])) is None


def watched(contents: Contents, *splits: str) -> Contents:
    """The same run with the curves of more splits."""
    more = {
        "test": {"test_loss": 0.7, "test_accuracy": 0.61},
        "train": {"train_evaluated_loss": 0.5, "train_accuracy": 0.83},
    }
    rows = [dict(epoch) for epoch in contents.history]
    for row in rows:
        row.pop("train_accuracy", None)
        for split in splits:
            row.update(more[split])
    return replace(contents, history=rows)


def test_watched_test_images_have_curves_and_columns_and_no_say(contents: Contents) -> None:
    section = learning(watched(contents, "test"))
    assert section is not None
    assert section.sentence.endswith(
        " The curves of the test images were recorded too, and no choice used them: the best epoch "
        "and the end of learning follow from the validation images alone."
    )
    assert all(">test<" in chart for _, chart in section.charts)
    assert section.columns[2] == "test loss"
    assert section.rows[0].cells[2] == "0.700"
    assert section.rows[0].cells[-1] == "0.01"
    assert len(section.rows[0].cells) == len(section.columns)


def test_watched_training_images_are_told_from_what_was_learnt_on(contents: Contents) -> None:
    section = learning(watched(contents, "train", "test"))
    assert section is not None
    assert "The curves of the test and train images were recorded too" in section.sentence
    assert "marked (eval) is of the weights at the end of an epoch" in section.sentence
    (_, loss), (_, accuracy) = section.charts
    assert ">train (eval)<" in loss
    assert ">train<" in loss
    assert ">train<" in accuracy
    assert section.columns[:2] == ("train loss", "train loss (eval)")


def test_without_validation_the_epochs_were_fixed(contents: Contents) -> None:
    bare = watched(contents, "test")
    rows = [
        {key: value for key, value in row.items() if not key.startswith("validation")}
        for row in bare.history
    ]
    section = learning(replace(bare, history=rows))
    assert section is not None
    assert "no choice used them: the number of epochs was fixed beforehand." in section.sentence


def test_of_a_run_that_watched_nothing_nothing_is_said(contents: Contents) -> None:
    section = learning(contents)
    assert section is not None
    assert "recorded too" not in section.sentence
    assert "test loss" not in section.columns


def test_weights_of_heads_are_said_beside_the_losses_that_have_them(contents: Contents) -> None:
    settings = {**contents.record.settings, "head_weight": {"shape": 0.5, "age": 2.0}}
    weighed = replace(contents, record=replace(contents.record, settings=settings))
    section = learning(weighed)
    assert section is not None
    assert "The losses here count shape 0.5 times, age 2 times, as it was learnt." in (
        section.sentence
    )
    plain = learning(contents)
    assert plain is not None
    assert "count" not in plain.sentence

"""``convoscope runs``: list, show and remove, and nothing that is not a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope

from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.runs import Run, RunRecord


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A finished run with predictions for a test split of 4, 3 of them right."""
    run = Run(tmp_path / "runs" / "birds-small-1")
    run.write_record(
        RunRecord(
            kind="train",
            settings={"model": "small"},
            command=("convoscope", "train", "my birds", "--model", "small"),
            seed=0,
            started="2026-01-02T03:04:05+00:00",
            status="finished",
            data={"name": "birds", "root": "/data/birds"},
            epochs=7,
            best_epoch=4,
            notes=("a/[b].png was left out, because it cannot be read: it is empty",),
        )
    )
    labels = np.array([0, 1, 0, 1])
    logits = np.eye(2, dtype=np.float32)[np.array([0, 1, 0, 0])]
    head = HeadPredictions(class_names=("[red]", ":cat:"), labels=labels, logits=logits)
    run.write_predictions(Predictions(split="test", ids=tuple("abcd"), heads={"class": head}))
    return run


def test_no_runs_says_how_to_make_one(convoscope: Convoscope) -> None:
    result = convoscope("runs", "list")
    assert result.exit_code == 0
    assert "no runs in runs: make one with  convoscope train DATA" in result.stdout


def test_the_list_has_status_and_accuracy(convoscope: Convoscope, run: Run) -> None:
    lines = convoscope("runs", "list").stdout.splitlines()
    assert lines[0].split() == ["run", "status", "model", "data", "epochs", "test", "accuracy"]
    assert lines[1].split() == ["runs/birds-small-1", "finished", "small", "birds", "7", "0.7500"]


def test_the_list_as_json(convoscope: Convoscope, run: Run) -> None:
    rows = json.loads(convoscope("runs", "list", "runs", "--json").stdout)["runs"]
    assert rows == [
        {
            "run": "runs/birds-small-1",
            "status": "finished",
            "model": "small",
            "data": "birds",
            "epochs": 7,
            "test_accuracy": 0.75,
        }
    ]


def test_half_a_run_is_listed_with_what_is_wrong(convoscope: Convoscope, run: Run) -> None:
    (run.path / "run.json").write_text('{"schema')
    assert "not whole: " in convoscope("runs", "list").stdout


def test_a_run_that_never_ended_is_listed_as_such(convoscope: Convoscope, run: Run) -> None:
    run.update_record(status="running")
    assert "running, or killed" in convoscope("runs", "list").stdout


def test_show_says_what_came_out(convoscope: Convoscope, run: Run) -> None:
    shown = convoscope("runs", "show", run.path).stdout
    for words in (
        "finished",
        "convoscope train 'my birds' --model small",
        "7, epoch 4 kept",
        "0.7500",
        "0.301 to 0.954",
        "note: a/[b].png was left out",
    ):
        assert words in shown


def test_show_as_json_has_record_and_metrics(convoscope: Convoscope, run: Run) -> None:
    content = json.loads(convoscope("runs", "show", run.path, "--json").stdout)
    assert content["record"]["best_epoch"] == 4
    assert content["splits"]["test"]["heads"]["class"]["correct"] == 3
    assert content["splits"]["test"]["heads"]["class"]["classes"][1]["name"] == ":cat:"


def test_removing_asks_first(convoscope: Convoscope, run: Run) -> None:
    result = convoscope("runs", "rm", run.path, typed="n\n")
    assert (result.exit_code, run.path.exists()) == (0, True)
    result = convoscope("runs", "rm", run.path, typed="y\n")
    assert (result.exit_code, run.path.exists()) == (0, False)


def test_removing_without_an_answer_keeps_the_run(convoscope: Convoscope, run: Run) -> None:
    assert convoscope("runs", "rm", run.path, typed="").exit_code == 130
    assert run.path.exists()


def test_yes_does_not_ask(convoscope: Convoscope, run: Run) -> None:
    assert "deleted" in convoscope("runs", "rm", "--yes", run.path).stdout
    assert not run.path.exists()


def test_nothing_is_removed_when_one_of_them_is_no_run(
    convoscope: Convoscope, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    result = convoscope("runs", "rm", "--yes", run.path, "photos")
    assert result.exit_code == 2
    assert "photos: a run folder must hold run.json, this one does not" in result.stderr
    assert run.path.exists()


@pytest.mark.parametrize("command", ["show", "rm"])
def test_a_run_that_is_not_there_is_one_sentence(convoscope: Convoscope, command: str) -> None:
    result = convoscope("runs", command, "runs/none")
    assert result.exit_code == 2
    assert result.stderr == (
        "convoscope: runs/none: there is no such run folder: see  convoscope runs list\n"
    )


def test_a_half_written_run_is_one_sentence(convoscope: Convoscope, run: Run) -> None:
    content = (run.path / "run.json").read_text()
    (run.path / "run.json").write_text(content[: len(content) // 2])
    result = convoscope("runs", "show", run.path)
    assert result.exit_code == 2
    assert "run.json: must be JSON" in result.stderr
    assert "the run was not written whole; delete the folder" in result.stderr
    assert result.stderr.count("\n") == 1

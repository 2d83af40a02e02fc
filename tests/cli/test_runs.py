"""``convoscope runs``: list, show and remove, and nothing that is not a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope

from convoscope.cli.runs import age, size_text
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.runs import Run, RunRecord
from convoscope.runs.lock import holding


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


def test_the_list_has_status_accuracy_with_interval_age_and_size(
    convoscope: Convoscope, run: Run
) -> None:
    started = datetime.now(UTC) - timedelta(days=3, hours=1)
    run.update_record(started=started.isoformat(timespec="seconds"))
    (run.path / "large").write_bytes(bytes(2_500_000))
    lines = convoscope("runs", "list").stdout.splitlines()
    titles = "run status model data epochs test accuracy 95% interval age size"
    assert lines[0].split() == titles.split()
    said = "runs/birds-small-1 finished small birds 7 0.7500 0.301 to 0.954 3 days 2.5 MB"
    assert lines[1].split() == said.split()


def test_a_network_from_another_run_is_listed_by_its_own_name(
    convoscope: Convoscope, run: Run
) -> None:
    settings = {"from_run": "runs/birds-small-1", "tune": "last"}
    run.update_record(settings=settings)
    run.write_architecture("", {"architecture_name": "small"})
    (row,) = json.loads(convoscope("runs", "list", "--json").stdout)["runs"]
    assert row["model"] == "small"


def test_a_ladder_is_listed_by_its_backbones(convoscope: Convoscope, run: Run) -> None:
    parts = ("rungs/vgg19/svm/0", "rungs/vgg19/last/0", "rungs/mobilenet_v2/svm/0")
    run.update_record(kind="ladder", parts=parts, settings={"backbone": "vgg19"})
    (row,) = json.loads(convoscope("runs", "list", "--json").stdout)["runs"]
    assert row["model"] == "vgg19, mobilenet_v2"
    assert row["status"] == "finished, 3 rungs"


def test_what_is_trained_with_several_seeds_is_counted_once(
    convoscope: Convoscope, run: Run
) -> None:
    for parts, said in (
        (("variants/a/0", "variants/a/1", "variants/b/0", "variants/b/1"), "2 variants"),
        (("rungs/vgg19/svm/0", "rungs/vgg19/svm/1"), "1 rung"),
        (("folds/1", "folds/2", "folds/3"), "3 folds"),
        (("seeds/0", "seeds/1"), "2 seeds"),
    ):
        run.update_record(parts=parts)
        (row,) = json.loads(convoscope("runs", "list", "--json").stdout)["runs"]
        assert row["status"] == f"finished, {said}"


@pytest.mark.parametrize(
    ("kind", "command"), [("train", "train"), ("variations", "vary"), ("ladder", "ladder")]
)
def test_whatever_was_stopped_is_shown_with_the_command_that_goes_on(
    convoscope: Convoscope, run: Run, kind: str, command: str
) -> None:
    run.update_record(kind=kind, status="interrupted")
    said = f"convoscope {command} --resume {run.path}"
    assert said in convoscope("runs", "show", run.path).stdout
    run.update_record(status="finished")
    assert said not in convoscope("runs", "show", run.path).stdout


def test_a_long_name_stays_in_one_piece_in_a_pipe(convoscope: Convoscope, run: Run) -> None:
    long = run.path.rename(run.path.with_name("birds-of-the-northern-coast-" * 6 + "1"))
    lines = convoscope("runs", "list").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].split()[0] == f"runs/{long.name}"


def test_the_list_as_json(convoscope: Convoscope, run: Run) -> None:
    (row,) = json.loads(convoscope("runs", "list", "runs", "--json").stdout)["runs"]
    low, high = row.pop("test_low"), row.pop("test_high")
    assert (round(low, 3), round(high, 3)) == (0.301, 0.954)
    assert row == {
        "run": "runs/birds-small-1",
        "status": "finished",
        "model": "small",
        "data": "birds",
        "epochs": 7,
        "test_accuracy": 0.75,
        "started": "2026-01-02T03:04:05+00:00",
        "bytes": sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file()),
    }


def test_a_run_that_was_not_tested_has_no_accuracy(convoscope: Convoscope, run: Run) -> None:
    (run.path / "predictions" / "test.npz").unlink()
    (row,) = json.loads(convoscope("runs", "list", "--json").stdout)["runs"]
    assert (row["test_accuracy"], row["test_low"], row["test_high"]) == (None, None, None)
    assert " -  " in convoscope("runs", "list").stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (59, "now"), (60, "1 min"), (7199, "1 h"), (86400, "1 day"), (1e7, "115 days")],
)
def test_an_age_is_said_in_one_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_499, "99 kB"), (999_600, "1.0 MB")),
        *((12_345_678, "12 MB"), (1_440_000_000, "1.4 GB"), (2_000_000_000_000, "2,000.0 GB")),
    ],
)
def test_a_size_is_said_in_one_unit(count: int, text: str) -> None:
    assert size_text(count) == text


def test_half_a_run_is_listed_with_what_is_wrong(convoscope: Convoscope, run: Run) -> None:
    (run.path / "run.json").write_text('{"schema')
    *rows, problem = convoscope("runs", "list").stdout.splitlines()
    assert [row.split()[1:3] for row in rows if "birds-small-1" in row] == [["not", "whole"]]
    assert problem.startswith("not whole: runs/birds-small-1/run.json: must be JSON, reading")


def test_a_run_that_never_ended_was_killed_unless_a_process_is_at_it(
    convoscope: Convoscope, run: Run
) -> None:
    run.update_record(status="running")
    assert " killed " in convoscope("runs", "list").stdout
    go_on = f"convoscope train --resume {run.path}"
    assert go_on in convoscope("runs", "show", run.path).stdout
    with holding(run.path):
        assert " running " in convoscope("runs", "list").stdout
        shown = convoscope("runs", "show", run.path).stdout
        assert "running" in shown
        assert go_on not in shown
        refused = convoscope("runs", "rm", "--yes", run.path)
        assert refused.exit_code == 2
        assert "a run is written by one process at a time" in refused.stderr
    assert run.path.exists()


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


def test_show_names_the_table_and_not_the_folder_of_its_images(
    convoscope: Convoscope, run: Run
) -> None:
    table = {"data": "/photos/birds.csv"}
    run.update_record(settings=table, data={"name": "birds", "root": "/photos"})
    facts = [line.split() for line in convoscope("runs", "show", run.path).stdout.splitlines()]
    assert ["data", "/photos/birds.csv"] in facts


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


def test_several_runs_are_removed_at_once(convoscope: Convoscope, run: Run) -> None:
    other = Run(run.path.with_name("other"))
    other.write_record(run.record())
    result = convoscope("runs", "rm", "--yes", run.path, other.path)
    assert result.exit_code == 0
    assert result.stdout == f"deleted {run.path}\ndeleted {other.path}\n"
    assert not run.path.exists()
    assert not other.path.exists()


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

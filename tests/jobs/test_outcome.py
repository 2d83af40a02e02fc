from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import convoscope
from convoscope.jobs.outcome import HOPELESS, guessing_loss, largest_share
from convoscope.jobs.prepare import prepare
from convoscope.jobs.request import TrainRequest
from convoscope.runs import Run

ASTRAY = "training went astray: its loss ended at "


def trained(data: Path, out: Path, **asked: Any) -> Run:
    usual: dict[str, Any] = {"input": "28", "engine": "numpy", "epochs": 2, "patience": 0}
    return convoscope.train(data, model="lenet-5", out=out, **{**usual, **asked})


def test_finite_losses_of_a_network_that_learns_nothing_are_noted(
    shapes_folder: Path, tmp_path: Path
) -> None:
    run = trained(shapes_folder, tmp_path / "r", learning_rate=100.0, optimiser="sgd")
    loss = run.history()[-1]["train_loss"]
    assert HOPELESS * math.log(3) < loss < math.inf
    (note,) = [note for note in run.record().notes if note.startswith(ASTRAY)]
    assert note == (
        f"{ASTRAY}{loss:.3g}, where guessing evenly gives 1.1, and validation is no better than "
        "always naming the largest class: try a much lower learning rate than 100, 0.01 is usual "
        "for sgd"
    )


def test_a_network_that_learns_has_no_such_note(shapes_folder: Path, tmp_path: Path) -> None:
    run = trained(shapes_folder, tmp_path / "r")
    assert not [note for note in run.record().notes if note.startswith(ASTRAY)]


def test_guessing_and_the_largest_class_are_counted_in_the_labels(tmp_path: Path) -> None:
    prepared = prepare(TrainRequest(data="digits", model="lenet-5", input="28"))
    assert guessing_loss(prepared) == pytest.approx(math.log(10))
    labels = prepared.dataset.labels["class"][prepared.splits.indices["test"]]
    assert largest_share(prepared, "test") == max(float((labels == k).mean()) for k in range(10))

"""The verbs as Python functions: what they give back, and what they tell while they work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convoscope
from convoscope.errors import ConvoscopeError, RunError, SettingsError, UnknownNameError
from convoscope.jobs.lessons import balanced_weights
from convoscope.runs import Run
from convoscope.training.events import (
    EpochEnded,
    Event,
    StepsDone,
    TrainingEnded,
    TrainingStarted,
)

TINY = """\
name: tiny
input_shape: [3, 16, 16]
layers:
- {kind: conv2d, name: conv, filters: 4, kernel_size: 3, activation: relu}
- {kind: batch_norm, name: norm}
heads:
  class:
    layers:
    - {kind: global_avg_pool, name: pool}
    - {kind: dense, name: dense, units: 3}
"""


@pytest.fixture
def train(tmp_path: Path, shapes_folder: Path) -> Callable[..., Run]:
    """``convoscope.train`` of a tiny network on three shapes, on the NumPy engine."""
    (tmp_path / "tiny.yaml").write_text(TINY)

    def run(out: str, **settings: Any) -> Run:
        asked: dict[str, Any] = {"epochs": 3, "batch": 8, "engine": "numpy", **settings}
        return convoscope.train(
            shapes_folder, model=tmp_path / "tiny.yaml", out=tmp_path / out, **asked
        )

    return run


def test_training_gives_back_the_run(train: Callable[..., Run]) -> None:
    run = train("r")
    assert isinstance(run, convoscope.Run)
    assert run.record().status == "finished"
    assert convoscope.open_run(run.path) == run
    assert convoscope.find_runs(run.path.parent) == [run]
    assert set(run.samples()) <= set(run.predictions("train").ids) | set(
        run.predictions("test").ids
    ) | set(run.predictions("validation").ids)


def test_it_tells_what_happens_in_order(train: Callable[..., Run]) -> None:
    events: list[Event] = []
    stages: list[str] = []
    started: list[Run] = []
    run = train(
        "r",
        listen=events.append,
        progress=lambda stage, done, total: stages.append(stage),
        started=started.append,
    )
    assert started == [run]
    kinds = [type(event) for event in events if not isinstance(event, StepsDone)]
    assert kinds == [TrainingStarted, EpochEnded, EpochEnded, EpochEnded, TrainingEnded]
    assert list(dict.fromkeys(stages)) == ["decoding", "predicting"]


def test_the_history_on_disk_is_what_was_told(train: Callable[..., Run]) -> None:
    events: list[Event] = []
    rows = train("r", listen=events.append).history()
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for row, event in zip(rows, ended, strict=True):
        assert row["validation_loss"] == event.scores["validation_loss"]
        assert (row["seconds"], row["is_best"]) == (event.seconds, event.is_best)
        assert row["learning_rate"] == event.learning_rate


def test_the_kept_weights_are_those_of_the_best_epoch(train: Callable[..., Run]) -> None:
    run = train("r", epochs=6, learning_rate=0.3)
    losses = [row["validation_loss"] for row in run.history()]
    best = int(np.argmin(losses))
    assert run.record().best_epoch == best + 1
    metrics = convoscope.evaluate(run)
    assert metrics["validation"].loss.value == pytest.approx(losses[best], rel=1e-5)


def test_stopped_and_resumed_it_ends_as_if_never_stopped(train: Callable[..., Run]) -> None:
    whole = train("whole", epochs=4)
    ended = 0

    def count(event: Event) -> None:
        nonlocal ended
        ended += isinstance(event, EpochEnded)

    stopped = train("stopped", epochs=4, listen=count, should_stop=lambda: ended >= 2)
    record = stopped.record()
    assert (record.status, record.epochs) == ("interrupted", 2)
    assert stopped.splits() == ("train", "validation", "test")
    resumed = convoscope.resume(stopped.path)
    assert resumed.record().status == "finished"
    for name, array in whole.parameters().items():
        np.testing.assert_array_equal(resumed.parameters()[name], array)
    for file in ("model/weights.safetensors", "predictions/test.npz"):
        assert (whole.path / file).read_bytes() == (resumed.path / file).read_bytes()
    assert not (resumed.path / "checkpoint").exists()


def test_stopped_before_the_first_step_it_says_whose_weights_these_are(
    train: Callable[..., Run],
) -> None:
    run = train("r", should_stop=lambda: True)
    record = run.record()
    assert (record.status, record.epochs, record.best_epoch) == ("interrupted", 0, 0)
    assert record.notes == (
        "interrupted before the first epoch ended: the weights are those of its last step",
    )
    assert convoscope.resume(run.path).record().notes == ()


def test_a_listener_that_fails_leaves_a_run_to_go_on_with(
    train: Callable[..., Run], tmp_path: Path
) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2:
            raise RunError("the tracker is gone: start it again")

    with pytest.raises(RunError, match="the tracker is gone"):
        train("r", listen=fail)
    run = convoscope.open_run(tmp_path / "r")
    assert run.record().status == "failed"
    assert run.record().notes == ("the tracker is gone: start it again",)
    assert convoscope.resume(run.path).record().status == "finished"


def test_two_runs_with_one_seed_are_the_same_and_with_another_are_not(
    train: Callable[..., Run],
) -> None:
    files = [
        (train(name, seed=seed).path / "model" / "weights.safetensors").read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_a_misspelt_setting_is_one_sentence_and_makes_no_folder(
    train: Callable[..., Run], tmp_path: Path
) -> None:
    with pytest.raises(UnknownNameError, match="no setting 'epoch': did you mean 'epochs'"):
        train("r", epoch=3)
    assert not (tmp_path / "r").exists()


def test_a_network_for_more_than_three_channels_is_refused(
    train: Callable[..., Run], tmp_path: Path, shapes_folder: Path
) -> None:
    (tmp_path / "many.yaml").write_text(TINY.replace("[3, 16, 16]", "[5, 16, 16]"))
    with pytest.raises(ConvoscopeError, match=r"has 1 \(gray\) or 3 \(colour\) input channels"):
        convoscope.train(shapes_folder, model=tmp_path / "many.yaml", engine="numpy")


def test_describe_counts_without_training() -> None:
    assert convoscope.describe("vgg19").parameters == 143_667_240
    assert convoscope.describe("vgg19", top=False).parameters == 20_024_384
    assert convoscope.describe("small", input="64", classes=5).rows[0].input_shape == (3, 64, 64)
    with pytest.raises(SettingsError, match="input must be"):
        convoscope.describe("small", input="wide")


def test_rare_classes_weigh_more() -> None:
    labels = np.array([0, 0, 0, 1, -1])
    weights = balanced_weights(labels, 3)
    assert weights == pytest.approx((4 / 9, 4 / 3, 0.0))

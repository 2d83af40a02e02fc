"""The recorder's files are whole at every moment, and its history follows the checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convoscope.jobs.recorder import Recorder
from convoscope.runs import Run
from convoscope.training.checkpoint import Checkpoint, EpochRecord
from convoscope.training.events import EpochEnded, Event


def checkpoint(epoch: int) -> Checkpoint:
    """After ``epoch`` epochs, the first of which was the best."""
    history = tuple(
        EpochRecord(
            epoch=number, scores={"train_loss": 1 / number}, learning_rate=0.1, is_best=number == 1
        )
        for number in range(1, epoch + 1)
    )
    weights = {"w": np.array([float(epoch)])}
    best = weights if epoch == 1 else None
    return Checkpoint(
        epoch=epoch, state=weights, history=history, best_epoch=1, best_parameters=best
    )


def ended(epoch: int) -> EpochEnded:
    return EpochEnded(epoch=epoch, scores={}, learning_rate=0.1, seconds=epoch * 2.0, is_best=False)


def test_a_run_is_gone_on_with_from_its_checkpoint(tmp_path: Path) -> None:
    heard: list[Event] = []
    recorder = Recorder(Run(tmp_path), heard.append)
    assert recorder.start() is None
    for epoch in (1, 2):
        recorder.keep(checkpoint(epoch))
        recorder.listen(ended(epoch))
    assert heard == [ended(1), ended(2)]
    again = Recorder(Run(tmp_path), heard.append)
    start = again.start()
    assert start is not None
    assert (start.epoch, start.best_epoch, start.history) == (2, 1, checkpoint(2).history)
    assert start.state["w"][0] == 2.0
    assert again.recall(1)["w"][0] == 1.0
    assert again.seconds == 6.0


def test_killed_between_checkpoint_and_epoch_s_end_only_the_seconds_are_lost(
    tmp_path: Path,
) -> None:
    recorder = Recorder(Run(tmp_path), lambda event: None)
    recorder.keep(checkpoint(1))
    recorder.listen(ended(1))
    recorder.keep(checkpoint(2))
    again = Recorder(Run(tmp_path), lambda event: None)
    again.start()
    again.keep(checkpoint(3))
    again.listen(ended(3))
    rows = Run(tmp_path).history()
    assert [(row["epoch"], row["seconds"]) for row in rows] == [(1, 2.0), (2, None), (3, 6.0)]
    assert [row["train_loss"] for row in rows] == [1, 1 / 2, 1 / 3]
    assert again.seconds == 8.0

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from convoscope.errors import RunError
from convoscope.training.checkpoint import Checkpoint, EpochRecord, checkpoint_from

RECORDS = tuple(
    EpochRecord(
        epoch=epoch,
        scores={"train_loss": 1 / (3 * epoch), "validation_loss": 0.1 + epoch},
        learning_rate=0.1 / 3,
        is_best=epoch == 1,
    )
    for epoch in (1, 2)
)


def test_progress_survives_json_bit_for_bit() -> None:
    state = {"w": np.arange(3.0)}
    saved = Checkpoint(epoch=2, state=state, history=RECORDS, best_epoch=1)
    read = checkpoint_from(json.loads(json.dumps(saved.progress())), state)
    assert (read.epoch, read.best_epoch, read.history) == (2, 1, RECORDS)
    assert read.state is state
    assert read.best_parameters is None


@pytest.mark.parametrize(
    "progress",
    [
        {"epoch": 1, "best_epoch": 1},
        {"epoch": 1, "history": []},
        {"epoch": 1, "best_epoch": 1, "history": [{"epoch": 1}]},
        {"epoch": 1, "best_epoch": 1, "history": [{"epok": 1}]},
    ],
)
def test_a_progress_that_is_not_whole_is_refused(progress: dict[str, Any]) -> None:
    with pytest.raises(
        RunError, match=r"checkpoint: progress must hold epoch, best_epoch and a history, reading"
    ):
        checkpoint_from(progress, {})


def test_a_history_with_a_gap_is_refused() -> None:
    progress = {"epoch": 2, "best_epoch": 1, "history": [RECORDS[0].to_json()]}
    message = (
        "checkpoint: the history must have one record for each of 2 epochs, got 1: "
        "delete the run's checkpoint folder and train again"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        checkpoint_from(progress, {})

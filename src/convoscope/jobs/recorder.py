"""Writes a run's folder while training goes on, so that nothing is lost when it stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convoscope.arrays import FloatArray
from convoscope.runs import Run
from convoscope.training.checkpoint import Checkpoint, EpochRecord, checkpoint_from
from convoscope.training.events import EpochEnded, Event, Listener


class Recorder:
    """Listens to training, and keeps its checkpoints, in one run folder.

    ``history.jsonl`` repeats the checkpoint's history with the seconds that each epoch took.
    """

    def __init__(self, run: Run, forward: Listener) -> None:
        self._run, self._forward = run, forward
        self._records: tuple[EpochRecord, ...] = ()
        self._seconds = {row["epoch"]: row.get("seconds") for row in run.history()}

    @property
    def run(self) -> Run:
        """The run that is written."""
        return self._run

    @property
    def seconds(self) -> float:
        """What all epochs took, those before a resumption included."""
        return sum(self._seconds.get(record.epoch) or 0.0 for record in self._records)

    def start(self) -> Checkpoint | None:
        """Where to go on from, or ``None`` before the first epoch ended."""
        found = self._run.checkpoint()
        if found is None:
            return None
        state, progress = found
        start = checkpoint_from(progress, state)
        self._records = tuple(start.history)
        return start

    def listen(self, event: Event) -> None:
        """Write an epoch's figures, then tell whoever else listens."""
        if isinstance(event, EpochEnded):
            self._seconds[event.epoch] = event.seconds
            self._write_history()
        self._forward(event)

    def keep(self, kept: Checkpoint) -> None:
        """Write a checkpoint."""
        self._run.write_checkpoint(kept.state, kept.progress(), kept.best_parameters)
        self._records = tuple(kept.history)
        self._write_history()

    def recall(self, epoch: int) -> Mapping[str, FloatArray]:
        """The best parameters, which :meth:`keep` wrote."""
        return self._run.best(epoch)

    def _write_history(self) -> None:
        self._run.write_history(
            [history_row(record, self._seconds.get(record.epoch)) for record in self._records]
        )


def history_row(record: EpochRecord, seconds: float | None) -> dict[str, Any]:
    """A line of ``history.jsonl``; ``seconds`` is ``None`` where the process was killed then."""
    return {
        "epoch": record.epoch,
        **record.scores,
        "learning_rate": record.learning_rate,
        "seconds": seconds,
        "is_best": record.is_best,
        **({"phase": record.phase} if record.phase else {}),
    }

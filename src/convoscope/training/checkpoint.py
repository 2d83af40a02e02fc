"""All that resuming needs, as one value: arrays, and numbers that JSON can hold.

Schedule, patience and best epoch follow from the history alone, so nothing else is stored. The
history holds no times: a resumed run's is the same, bit for bit, as one never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from convoscope.arrays import Array, FloatArray
from convoscope.errors import RunError


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One whole epoch, as in :class:`~convoscope.training.events.EpochEnded` without times.

    ``phase`` is the one it belongs to, where training has several.
    """

    epoch: int
    scores: Mapping[str, float]
    learning_rate: float
    is_best: bool
    phase: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object that a checkpoint's history holds for it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Training after ``epoch`` whole epochs; ``state`` is the learner's.

    ``best_parameters`` are there when this epoch is the best so far, for whoever keeps them, and
    are valid until ``keep`` returns; on the way back they may be left out where ``fit`` is told
    how to ``recall`` them.
    """

    epoch: int
    state: Mapping[str, Array]
    history: Sequence[EpochRecord]
    best_epoch: int
    best_parameters: Mapping[str, FloatArray] | None = None

    def progress(self) -> dict[str, Any]:
        """All but the arrays: ``{"epoch", "best_epoch", "history": [{...}, ...]}``."""
        return {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "history": [record.to_json() for record in self.history],
        }


def checkpoint_from(
    progress: Mapping[str, Any],
    state: Mapping[str, Array],
    best_parameters: Mapping[str, FloatArray] | None = None,
) -> Checkpoint:
    """The checkpoint with that :meth:`Checkpoint.progress`.

    Raises:
        RunError: if the progress is not whole.
    """
    try:
        history = tuple(EpochRecord(**record) for record in progress["history"])
        epoch, best_epoch = progress["epoch"], progress["best_epoch"]
    except (KeyError, TypeError) as error:
        raise RunError(
            f"checkpoint: progress must hold epoch, best_epoch and a history, reading it gave "
            f"{error!r}: delete the run's checkpoint folder and train again"
        ) from error
    if [record.epoch for record in history] != list(range(1, epoch + 1)):
        raise RunError(
            f"checkpoint: the history must have one record for each of {epoch} epochs, got "
            f"{len(history)}: delete the run's checkpoint folder and train again"
        )
    return Checkpoint(
        epoch=epoch,
        state=state,
        history=history,
        best_epoch=best_epoch,
        best_parameters=best_parameters,
    )

"""What training tells whoever listens: plain values, sent as they happen.

The recorder, the progress bar, the live page and experiment trackers listen to these; training
knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

StopReason: TypeAlias = Literal["epochs", "patience", "interrupted", "diverged", "time", "solved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStarted:
    """Before the first step; ``first_epoch`` is above 1 when a run is resumed."""

    epochs: int
    first_epoch: int
    steps_per_epoch: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsDone:
    """A few times a second: where the epoch stands; ``loss`` is the mean of its steps so far."""

    epoch: int
    step: int
    loss: float
    images_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """An epoch's figures.

    ``scores`` hold ``train_loss`` (mean of the steps, as learnt: with dropout, augmentation and
    weights that still move), ``validation_loss`` and ``validation_accuracy`` of the weights at the
    end of the epoch and, with several heads, ``validation_accuracy/<head>``, the plain one being
    that of all heads right. Other splits that are watched score under their own names; the
    training split then gives ``train_accuracy`` and, evaluated like the others,
    ``train_evaluated_loss``. ``learning_rate`` is that of the epoch's last step.
    """

    epoch: int
    scores: Mapping[str, float]
    learning_rate: float
    seconds: float
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEnded:
    """After the last step; the best epoch's weights are the ones kept."""

    reason: StopReason
    epochs: int
    best_epoch: int
    seconds: float


Event: TypeAlias = TrainingStarted | StepsDone | EpochEnded | TrainingEnded
Listener: TypeAlias = Callable[[Event], None]

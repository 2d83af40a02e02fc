"""Everything a training run can be asked, as one value with sensible defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from convoscope.errors import SettingsError, unknown_name
from convoscope.network import Optimiser

ScheduleName: TypeAlias = Literal["none", "step", "cosine", "plateau"]
ClassWeights: TypeAlias = Literal["none", "balanced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How the learning rate moves: ``step`` multiplies it by ``factor`` every ``every`` epochs,
    ``cosine`` brings it to 0 at the last epoch (Loshchilov and Hutter 2017,
    https://arxiv.org/abs/1608.03983), ``plateau`` multiplies it by ``factor`` after ``every``
    epochs without a better validation loss. ``warmup`` epochs rise linearly from 0 first.

    Raises:
        UnknownNameError: if there is no such schedule.
        SettingsError: if a number is out of its range.
    """

    kind: ScheduleName = "none"
    every: int = 10
    factor: float = 0.1
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(ScheduleName):
            raise unknown_name("schedule", self.kind, get_args(ScheduleName))
        if self.every < 1:
            raise SettingsError(
                f"schedule: every must be at least 1 epoch, got {self.every}: 10 is usual"
            )
        if not 0 < self.factor < 1:
            raise SettingsError(
                f"schedule: factor must lie between 0 and 1, got {self.factor}: "
                "0.1 makes the learning rate ten times smaller"
            )
        if self.warmup < 0:
            raise SettingsError(
                f"schedule: warmup must be at least 0 epochs, got {self.warmup}: 0 leaves it out"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """``patience``: epochs without a better validation loss before stopping (``None``: never).
    ``class_weights``: ``"balanced"`` weighs each class by the inverse of its frequency.
    ``augment``: a policy's name (see data/augment). ``head_weights`` multiply the losses of heads,
    ``rates`` the learning rate of parameters whose name begins so (0 freezes them).

    Raises:
        SettingsError: if a number is out of its range, or two settings cannot go together.
        UnknownNameError: if ``class_weights`` is no known kind.
    """

    epochs: int = 50
    batch_size: int = 32
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    augment: str = "none"
    patience: int | None = 10
    class_weights: ClassWeights = "none"
    label_smoothing: float = 0.0
    head_weights: tuple[tuple[str, float], ...] = ()
    rates: tuple[tuple[str, float], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise SettingsError(f"epochs must be at least 1, got {self.epochs}: give a larger one")
        if self.batch_size < 1:
            raise SettingsError(f"batch must be at least 1, got {self.batch_size}: 32 is usual")
        if self.patience is not None and self.patience < 1:
            raise SettingsError(
                f"patience must be at least 1, got {self.patience}: leave early stopping off with 0"
            )
        if self.class_weights not in get_args(ClassWeights):
            raise unknown_name("kind of class weights", self.class_weights, get_args(ClassWeights))
        if not 0 <= self.label_smoothing < 1:
            raise SettingsError(
                "label_smoothing must be at least 0 and below 1, "
                f"got {self.label_smoothing}: 0.1 is usual"
            )
        if self.schedule.warmup >= self.epochs:
            raise SettingsError(
                f"schedule: warmup must end before training does, got {self.schedule.warmup} of "
                f"{self.epochs} epochs: warm up for fewer or train for more"
            )
        _check_multipliers("head_weights", self.head_weights)
        _check_multipliers("rates", self.rates)


def _check_multipliers(setting: str, pairs: Sequence[tuple[str, float]]) -> None:
    """Each name once, each number at least 0."""
    names = [name for name, _ in pairs]
    for name, value in pairs:
        if not 0 <= value < float("inf"):
            raise SettingsError(
                f"{setting}: that of {name!r} must be at least 0 and finite, got {value}: "
                "1 leaves it as it is"
            )
        if names.count(name) > 1:
            raise SettingsError(
                f"{setting}: each name must be there once, {name!r} is there "
                f"{names.count(name)} times: keep one of them"
            )

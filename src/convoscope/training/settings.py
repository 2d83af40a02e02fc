"""Everything a training run can be asked, as one value with sensible defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from convoscope.errors import SettingsError
from convoscope.network import Optimiser

ScheduleName: TypeAlias = Literal["none", "step", "cosine", "plateau"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How the learning rate moves: ``step`` multiplies it by ``factor`` every ``every`` epochs,
    ``cosine`` brings it to 0 at the last epoch (Loshchilov and Hutter 2017,
    https://arxiv.org/abs/1608.03983), ``plateau`` multiplies it by ``factor`` after ``every``
    epochs without a better validation loss. ``warmup`` epochs rise linearly from 0 first.
    """

    kind: ScheduleName = "none"
    every: int = 10
    factor: float = 0.1
    warmup: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """``patience``: epochs without a better validation loss before stopping (``None``: never).
    ``class_weights``: ``"balanced"`` weighs each class by the inverse of its frequency.
    ``augment``: a policy's name (see data/augment).
    """

    epochs: int = 50
    batch_size: int = 32
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    augment: str = "none"
    patience: int | None = 10
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    head_weights: tuple[tuple[str, float], ...] = ()
    rates: tuple[tuple[str, float], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise SettingsError(f"epochs must be at least 1, got {self.epochs}")
        if self.batch_size < 1:
            raise SettingsError(f"batch must be at least 1, got {self.batch_size}")
        if self.patience is not None and self.patience < 1:
            raise SettingsError(
                f"patience must be at least 1, got {self.patience}: leave early stopping off with 0"
            )

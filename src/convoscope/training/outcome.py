"""How training ended: by itself, because someone asked, or because the loss broke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convoscope.arrays import FloatArray
from convoscope.errors import DivergedError
from convoscope.network import Optimiser, OptimiserKind
from convoscope.training.checkpoint import EpochRecord
from convoscope.training.events import StopReason

USUAL_RATES: Mapping[OptimiserKind, float] = {"adam": 0.001, "adamw": 0.001, "sgd": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Where ``what`` ("the loss") stopped being finite: in ``step`` of ``epoch`` or, where that is
    ``None``, after its last step. The weights kept are those of ``kept_epoch``, 0 if none.
    """

    epoch: int
    step: int | None
    what: str
    value: float
    kept_epoch: int
    optimiser: Optimiser

    def error(self) -> DivergedError:
        """The sentence that says so."""
        since = f"since step {self.step}" if self.step else "after the last step"
        kept = f"the weights of epoch {self.kept_epoch}" if self.kept_epoch else "no weights"
        return DivergedError(
            f"epoch {self.epoch}: {self.what} must be a finite number, found {self.value} "
            f"{since}, and {kept} were kept: "
            f"train again with {lower_rate(self.optimiser.kind, self.optimiser.learning_rate)}"
        )


def lower_rate(optimiser: OptimiserKind, rate: float) -> str:
    """What to advise where ``rate`` was too high: one tenth of it, but no more than is usual."""
    usual = USUAL_RATES[optimiser]
    if rate > 10 * usual:
        return f"a much lower learning rate than {rate:g}, {usual:g} is usual for {optimiser}"
    return f"a learning rate below {rate:g}, such as {rate / 10:g}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitResult:
    """``parameters`` are those of the best epoch. If training was interrupted before the first
    epoch ended they are those of the last step and ``best_epoch`` is 0; if it diverged there, they
    are ``None``.
    """

    reason: StopReason
    epochs: int
    best_epoch: int
    parameters: Mapping[str, FloatArray] | None
    history: tuple[EpochRecord, ...]
    seconds: float
    divergence: Divergence | None = None

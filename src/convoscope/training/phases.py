"""Training in phases: different parts of one network learn one after the other.

A phase is a call of :func:`~convoscope.training.loop.fit` with a learner of its own, which begins
with the best parameters so far; epochs are counted on, and the best of all phases is kept. Where a
phase ends follows from the history, so that a run in phases resumes as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from convoscope.network import Learner
from convoscope.training.checkpoint import Checkpoint, EpochRecord
from convoscope.training.epoch import Batches
from convoscope.training.events import Event, Listener, TrainingEnded
from convoscope.training.loop import Parameters, fit
from convoscope.training.outcome import FitResult
from convoscope.training.scores import Evaluate
from convoscope.training.settings import TrainingSettings

WENT_ASTRAY = ("interrupted", "diverged")
"""Reasons after which no further phase begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What learns from what, how, and for how long; ``learner`` is given the best parameters of
    the phases before, ``None`` in the first and where the phase only goes on.
    """

    name: str
    learner: Callable[[Parameters | None], Learner]
    settings: TrainingSettings
    train: Batches
    validation: Evaluate | None
    watch: Mapping[str, Evaluate]


def fit_phases(
    phases: Sequence[Phase],
    *,
    listen: Listener,
    keep: Callable[[Checkpoint], object],
    recall: Callable[[int], Parameters],
    start: Checkpoint | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FitResult:
    """Train in these phases, one after the other; see :func:`~convoscope.training.loop.fit`.

    The parameters of the result are those that the best epoch's phase was taught. Names of phases
    differ. ``start`` goes on in the phase of its last epoch.

    Raises:
        ConvoscopeError: as ``fit`` does.
    """
    earlier: tuple[EpochRecord, ...] = ()
    seconds = 0.0
    for phase in phases:
        own = [record for record in start.history if record.phase == phase.name] if start else []
        is_over = start is not None and own and own[-1].epoch < start.epoch
        if is_over:
            earlier = (*earlier, *own)
            continue
        result = fit(
            # One that goes on has its state, and the best before it may be no longer there.
            phase.learner(None if own else _best(earlier, recall)),
            train=phase.train,
            validation=phase.validation,
            settings=phase.settings,
            listen=listen if phase is phases[-1] else _going_on(listen),
            keep=keep,
            recall=recall,
            start=start if own else None,
            should_stop=should_stop,
            watch=phase.watch,
            phase=phase.name,
            earlier=earlier,
        )
        seconds += result.seconds
        if result.reason in WENT_ASTRAY:
            break
        earlier = result.history
    return replace(result, seconds=seconds)


def _best(earlier: Sequence[EpochRecord], recall: Callable[[int], Parameters]) -> Parameters | None:
    """The best parameters of the epochs before; without validation those of the last."""
    best = [record.epoch for record in earlier if record.is_best]
    return recall(best[-1]) if best else None


def _going_on(listen: Listener) -> Listener:
    """Whoever listens, but for the end of a phase that is not training's."""

    def heard(event: Event) -> Any:
        if not isinstance(event, TrainingEnded) or event.reason in WENT_ASTRAY:
            listen(event)

    return heard

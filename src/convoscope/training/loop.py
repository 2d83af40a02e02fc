"""Teaching a network: epochs of steps, an evaluation after each, and the best weights kept.

Everything that decides (rates, stopping, best epoch) is a function of the history, the order of the
images and their augmentation are functions of the epoch, and a checkpoint is offered after every
epoch. So a run that was killed at any moment, and goes on from its last checkpoint, ends with the
same bytes as one never killed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.errors import DataError, RunError, SettingsError
from convoscope.network import Learner
from convoscope.training import stopping
from convoscope.training.checkpoint import Checkpoint, EpochRecord
from convoscope.training.epoch import Batches, Learnt, learn
from convoscope.training.events import (
    EpochEnded,
    Listener,
    StopReason,
    TrainingEnded,
    TrainingStarted,
)
from convoscope.training.outcome import Divergence, FitResult
from convoscope.training.schedules import rate
from convoscope.training.scores import Evaluate, scores
from convoscope.training.settings import TrainingSettings

Parameters: TypeAlias = Mapping[str, FloatArray]


def fit(
    learner: Learner,
    *,
    train: Batches,
    validation: Evaluate | None,
    settings: TrainingSettings,
    listen: Listener,
    keep: Callable[[Checkpoint], object] | None = None,
    recall: Callable[[int], Parameters] | None = None,
    start: Checkpoint | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    watch: Mapping[str, Evaluate] | None = None,
    phase: str = "",
    earlier: Sequence[EpochRecord] = (),
) -> FitResult:
    """Train until the epochs or the patience are used up, someone asks to stop, or it diverges.

    The best epoch is the one with the smallest validation loss; without validation the number of
    epochs is fixed and the last one counts as best. ``keep`` is called after every epoch. With
    ``recall``, which gives back the best parameters that ``keep`` stored for an epoch, no copy of
    them is held in memory; without it, one is. ``should_stop`` is asked before every step; an epoch
    broken off leaves no trace in the history, for resuming does it again. ``watch`` evaluates more
    splits after each epoch, for their curves alone: nothing is decided by them.

    ``earlier`` are the epochs of phases before this one (see :mod:`convoscope.training.phases`):
    epochs are counted on, and the best of all is kept, but rates and patience begin anew.

    Raises:
        SettingsError: if the settings need a validation split that is not there.
        DataError: if there is nothing to train on, or an evaluated split has no labels.
        RunError: if ``start`` does not hold what going on needs.
    """
    _check(train, validation, settings, watch or {})
    course = _Course(
        learner=learner,
        train=train,
        evaluations={**({"validation": validation} if validation else {}), **(watch or {})},
        settings=settings,
        listen=listen,
        keep=keep,
        recall=recall,
        should_stop=should_stop,
        phase=phase,
        earlier=tuple(earlier),
    )
    if start is not None:
        course.go_on_from(start)
    return course.run()


@dataclass(slots=True, kw_only=True)
class _Course:
    """One call of :func:`fit`: what it was given, and where it stands."""

    learner: Learner
    train: Batches
    evaluations: Mapping[str, Evaluate]
    settings: TrainingSettings
    listen: Listener
    keep: Callable[[Checkpoint], object] | None
    recall: Callable[[int], Parameters] | None
    should_stop: Callable[[], bool]
    phase: str
    earlier: tuple[EpochRecord, ...]
    history: list[EpochRecord] = field(default_factory=list)
    best_parameters: Parameters | None = None
    divergence: Divergence | None = None

    @property
    def is_validated(self) -> bool:
        return "validation" in self.evaluations

    @property
    def validation_losses(self) -> list[float]:
        if not self.is_validated:
            return []
        return _validation_losses(self.history)

    @property
    def every_epoch(self) -> tuple[EpochRecord, ...]:
        """Those of the phases before, too."""
        return (*self.earlier, *self.history)

    @property
    def best_epoch(self) -> int:
        if not self.is_validated:
            return len(self.every_epoch)
        return stopping.best_epoch(_validation_losses(self.every_epoch))

    def go_on_from(self, start: Checkpoint) -> None:
        if self.is_validated and any("validation_loss" not in r.scores for r in start.history):
            raise RunError(
                "checkpoint: its epochs must have a validation loss, they were trained without: "
                "go on without a validation split, as it began"
            )
        if self.recall is None and start.best_parameters is None:
            raise RunError(
                "checkpoint: going on needs the best parameters, those of epoch "
                f"{start.best_epoch}, found none: give them, or a way to recall them"
            )
        self.learner.load_state(start.state)
        self.history = list(start.history[len(self.earlier) :])
        self.best_parameters = start.best_parameters if self.recall is None else None

    def run(self) -> FitResult:
        began = time.perf_counter()
        self.listen(
            TrainingStarted(
                epochs=len(self.earlier) + self.settings.epochs,
                first_epoch=len(self.every_epoch) + 1,
                steps_per_epoch=len(self.train),
                images=len(self.train.indices),
            )
        )
        while (reason := self.reason_to_end()) is None:
            if (reason := self.one_epoch()) is not None:
                break
        parameters = self.kept_parameters()
        seconds = time.perf_counter() - began
        self.listen(
            TrainingEnded(
                reason=reason,
                epochs=len(self.every_epoch),
                best_epoch=self.best_epoch,
                seconds=seconds,
            )
        )
        return FitResult(
            reason=reason,
            epochs=len(self.every_epoch),
            best_epoch=self.best_epoch,
            parameters=parameters,
            history=self.every_epoch,
            seconds=seconds,
            divergence=self.divergence,
        )

    def reason_to_end(self) -> StopReason | None:
        """Between two epochs."""
        if len(self.history) >= self.settings.epochs:
            return "epochs"
        if stopping.is_out_of_patience(self.validation_losses, self.settings.patience):
            return "patience"
        return "interrupted" if self.should_stop() else None

    def one_epoch(self) -> StopReason | None:
        """Learn, evaluate, keep; or the reason why the epoch did not end."""
        began = time.perf_counter()
        epoch = len(self.every_epoch) + 1
        learnt = learn(
            self.learner,
            self.train,
            epoch=epoch,
            multiplier=self.multiplier,
            listen=self.listen,
            should_stop=self.should_stop,
        )
        if (step := learnt.first_broken) is not None:
            return self.diverged("the loss", learnt.losses[step - 1], step)
        if not learnt.is_whole:
            return "interrupted"
        found = self.scores_after(learnt)
        for what, value in found.items():
            if not math.isfinite(value):
                return self.diverged(f"the {what.replace('_', ' ')}", value)
        if not self.is_validated and not _are_finite(self.learner.network.parameters()):
            return self.diverged("every weight", math.nan)
        record = self.recorded(epoch, found)
        self.listen(
            EpochEnded(
                epoch=epoch,
                scores=record.scores,
                learning_rate=record.learning_rate,
                seconds=time.perf_counter() - began,
                is_best=record.is_best,
            )
        )
        return None

    def multiplier(self, step: int) -> float:
        """Of the learning rate, in a step of the epoch that follows the history."""
        return rate(
            self.settings.schedule,
            epochs=self.settings.epochs,
            epoch=len(self.history) + 1,
            step=step,
            steps=len(self.train),
            validation_losses=self.validation_losses,
        )

    def scores_after(self, learnt: Learnt) -> dict[str, float]:
        found = {"train_loss": learnt.mean_loss}
        weights = dict(self.settings.head_weights)
        for split, evaluate in self.evaluations.items():
            found |= scores(split, evaluate(self.learner.network), weights)
        return found

    def recorded(self, epoch: int, found: Mapping[str, float]) -> EpochRecord:
        """Add the epoch to the history, and keep what it gave."""
        losses = _validation_losses(self.every_epoch) if self.is_validated else []
        is_best = not self.is_validated or found["validation_loss"] < min(losses, default=math.inf)
        last_rate = self.settings.optimiser.learning_rate * self.multiplier(len(self.train))
        record = EpochRecord(
            epoch=epoch,
            scores=found,
            learning_rate=last_rate,
            is_best=is_best,
            phase=self.phase,
        )
        self.history.append(record)
        best = self.learner.network.parameters() if is_best else None
        if best is not None and self.recall is None:
            # Let the old copy go before the new one is made: never two of a large network.
            self.best_parameters = None
            self.best_parameters = best = _copied(best)
        if self.keep is not None:
            self.keep(
                Checkpoint(
                    epoch=epoch,
                    state=self.learner.state(),
                    history=self.every_epoch,
                    best_epoch=self.best_epoch,
                    best_parameters=best,
                )
            )
        return record

    def kept_parameters(self) -> Parameters | None:
        if self.best_epoch:
            return self.best_parameters if self.recall is None else self.recall(self.best_epoch)
        return None if self.divergence else _copied(self.learner.network.parameters())

    def diverged(self, what: str, value: float, step: int | None = None) -> StopReason:
        self.divergence = Divergence(
            epoch=len(self.every_epoch) + 1,
            step=step,
            what=what,
            value=value,
            kept_epoch=self.best_epoch,
            optimiser=self.settings.optimiser,
        )
        return "diverged"


def _check(
    train: Batches,
    validation: Evaluate | None,
    settings: TrainingSettings,
    watch: Mapping[str, Evaluate],
) -> None:
    if not len(train):
        raise DataError("training needs at least one image, got none: give it a larger train split")
    if validation is None and settings.schedule.kind == "plateau":
        raise SettingsError(
            "schedule 'plateau' follows the validation loss, and there is no validation split: "
            "hold some images out, or choose 'step' or 'cosine'"
        )
    if "validation" in watch:
        raise SettingsError(
            "a watched split must have a name of its own, got 'validation': "
            "it is evaluated anyway, give it as validation"
        )


def _validation_losses(records: Sequence[EpochRecord]) -> list[float]:
    return [record.scores["validation_loss"] for record in records]


def _copied(parameters: Parameters) -> dict[str, FloatArray]:
    return {name: np.array(values) for name, values in parameters.items()}


def _are_finite(parameters: Parameters) -> bool:
    return all(bool(np.isfinite(values).all()) for values in parameters.values())

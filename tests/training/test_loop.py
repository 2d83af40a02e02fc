from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.training.conftest import (
    RegressionLearner,
    Sample,
    Shuffled,
    draw_blobs,
    evaluation,
    new_learner,
)

from convoscope.arrays import FloatArray
from convoscope.errors import DataError, RunError, SettingsError
from convoscope.metrics.classification import head_accuracy, total_loss
from convoscope.metrics.predictions import Predictions
from convoscope.network import Network, Optimiser
from convoscope.runs.store import Run
from convoscope.training import epoch as epoch_module
from convoscope.training.checkpoint import Checkpoint, checkpoint_from
from convoscope.training.events import (
    EpochEnded,
    Event,
    StepsDone,
    TrainingEnded,
    TrainingStarted,
)
from convoscope.training.loop import fit
from convoscope.training.outcome import FitResult
from convoscope.training.settings import Schedule, TrainingSettings

Validation = Callable[[Network], Predictions]


def asked(
    epochs: int = 6, patience: int | None = None, schedule: Schedule | None = None
) -> TrainingSettings:
    return TrainingSettings(
        epochs=epochs,
        patience=patience,
        schedule=schedule or Schedule(),
        optimiser=Optimiser(kind="sgd", learning_rate=0.1, momentum=0.9),
    )


def ignore(event: Event) -> None:
    """For tests that do not look at events."""


def assert_same_arrays(one: Mapping[str, FloatArray] | None, other: object) -> None:
    """Bit for bit."""
    assert one is not None
    assert isinstance(other, Mapping)
    assert set(one) == set(other)
    for name, values in one.items():
        assert values.tobytes() == other[name].tobytes(), name


def assert_same_result(one: FitResult, other: FitResult) -> None:
    assert one.history == other.history
    assert (one.reason, one.epochs, one.best_epoch) == (
        other.reason,
        other.epochs,
        other.best_epoch,
    )
    assert_same_arrays(one.parameters, other.parameters)


def stop_after(polls: int) -> Callable[[], bool]:
    """Ask to stop once it was asked ``polls`` times."""
    count = iter(range(polls + 1_000_000))
    return lambda: next(count) >= polls


# -- learning -------------------------------------------------------------------------------------


def test_it_learns_and_says_so(train: Shuffled, validation: Validation) -> None:
    events: list[Event] = []
    before = total_loss(validation(new_learner().network))
    result = fit(
        new_learner(), train=train, validation=validation, settings=asked(), listen=events.append
    )
    assert (result.reason, result.epochs) == ("epochs", 6)
    assert result.history[-1].scores["validation_loss"] < 0.7 * before
    assert events[0] == TrainingStarted(epochs=6, first_epoch=1, steps_per_epoch=5, images=40)
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert [event.scores for event in ended] == [record.scores for record in result.history]
    assert [event.epoch for event in ended] == [1, 2, 3, 4, 5, 6]
    last = events[-1]
    assert isinstance(last, TrainingEnded)
    assert (last.reason, last.epochs, last.best_epoch) == ("epochs", 6, result.best_epoch)


def test_an_epoch_is_its_steps_one_after_the_other(train: Shuffled, validation: Validation) -> None:
    by_hand, losses = new_learner(), []
    for batch in train.epoch(1):
        by_hand.step(batch.images, batch.labels)
        losses.extend(by_hand.drain_losses().tolist())
    result = fit(
        new_learner(), train=train, validation=validation, settings=asked(1), listen=ignore
    )
    assert_same_arrays(result.parameters, by_hand.network.weights)
    predictions = validation(by_hand.network)
    assert result.history[0].scores == {
        "train_loss": pytest.approx(np.mean(losses), rel=1e-15),
        "validation_loss": total_loss(predictions),
        "validation_accuracy": head_accuracy(predictions.heads["class"]),
    }


def test_the_kept_parameters_are_those_of_the_smallest_validation_loss(
    train: Shuffled, validation: Validation
) -> None:
    result = fit(
        new_learner(), train=train, validation=validation, settings=asked(25), listen=ignore
    )
    losses = [record.scores["validation_loss"] for record in result.history]
    assert result.best_epoch == int(np.argmin(losses)) + 1 < 25
    until_best = fit(
        new_learner(),
        train=train,
        validation=validation,
        settings=asked(result.best_epoch),
        listen=ignore,
    )
    assert_same_arrays(result.parameters, until_best.parameters)
    best = [record.epoch for record in result.history if record.is_best]
    assert best == [n for n in range(1, 26) if losses[n - 1] < min([*losses[: n - 1], math.inf])]


def test_patience_ends_training_and_keeps_the_best_epoch(
    train: Shuffled, validation: Validation
) -> None:
    result = fit(
        new_learner(), train=train, validation=validation, settings=asked(60, 4), listen=ignore
    )
    assert result.reason == "patience"
    assert result.epochs == result.best_epoch + 4 < 60


def test_without_validation_the_last_weights_are_kept(train: Shuffled) -> None:
    learner = new_learner()
    result = fit(learner, train=train, validation=None, settings=asked(7, 1), listen=ignore)
    assert (result.reason, result.epochs, result.best_epoch) == ("epochs", 7, 7)
    assert all(record.is_best for record in result.history)
    assert_same_arrays(result.parameters, learner.network.weights)


def test_each_step_gets_the_rate_of_the_schedule(train: Shuffled) -> None:
    learner = new_learner()
    schedule = Schedule(kind="step", every=1, factor=0.5, warmup=1)
    result = fit(
        learner, train=train, validation=None, settings=asked(3, schedule=schedule), listen=ignore
    )
    assert learner.rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0] + [1.0] * 5 + [0.5] * 5)
    assert [record.learning_rate for record in result.history] == pytest.approx([0.1, 0.1, 0.05])


def test_a_plateau_lowers_the_rate(train: Shuffled, validation: Validation) -> None:
    schedule = Schedule(kind="plateau", every=2, factor=0.1)
    result = fit(
        new_learner(),
        train=train,
        validation=validation,
        settings=asked(30, schedule=schedule),
        listen=ignore,
    )
    rates = [record.learning_rate for record in result.history]
    assert rates[result.best_epoch - 1] > rates[-1]
    assert sorted(rates, reverse=True) == rates


def test_watched_splits_are_scored_and_decide_nothing(
    train: Shuffled, validation: Validation
) -> None:
    watch = {
        "train": evaluation("train", train.images, train.labels),
        "test": evaluation("test", *draw_blobs(30, "test")),
    }
    plain = fit(new_learner(), train=train, validation=validation, settings=asked(), listen=ignore)
    watched = fit(
        new_learner(),
        train=train,
        validation=validation,
        settings=asked(),
        listen=ignore,
        watch=watch,
    )
    assert_same_arrays(watched.parameters, plain.parameters)
    assert list(watched.history[0].scores) == [
        "train_loss", "validation_loss", "validation_accuracy", "train_evaluated_loss",
        "train_accuracy", "test_loss", "test_accuracy",
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [0.0, math.inf])
def test_when_losses_are_read_changes_nothing(
    train: Shuffled, validation: Validation, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = fit(new_learner(), train=train, validation=validation, settings=asked(), listen=ignore)
    monkeypatch.setattr(epoch_module, "DRAIN_SECONDS", seconds)
    events: list[Event] = []
    other = fit(
        new_learner(), train=train, validation=validation, settings=asked(), listen=events.append
    )
    assert_same_result(usual, other)
    told = [event for event in events if isinstance(event, StepsDone) and event.epoch == 1]
    assert [event.step for event in told] == ([1, 2, 3, 4, 5] if seconds == 0 else [5])
    assert told[-1].loss == other.history[0].scores["train_loss"]
    assert all(event.images_per_second > 0 for event in told)


# -- checkpoints ----------------------------------------------------------------------------------


def checkpoints_of(
    train: Shuffled, validation: Validation | None, settings: TrainingSettings
) -> tuple[list[Checkpoint], FitResult]:
    kept: list[Checkpoint] = []
    result = fit(
        new_learner(),
        train=train,
        validation=validation,
        settings=settings,
        listen=ignore,
        keep=kept.append,
    )
    return kept, result


@pytest.mark.parametrize(
    ("schedule", "is_validated"),
    [
        (Schedule(), True),
        (Schedule(), False),
        (Schedule(kind="step", every=2, factor=0.5), True),
        (Schedule(kind="cosine", warmup=2), True),
        (Schedule(kind="cosine", warmup=2), False),
        (Schedule(kind="plateau", every=1, factor=0.5), True),
    ],
)
def test_a_resumed_run_is_one_never_stopped(
    train: Shuffled, validation: Validation, schedule: Schedule, is_validated: bool
) -> None:
    evaluate = validation if is_validated else None
    settings = asked(12, 3, schedule)
    kept, whole = checkpoints_of(train, evaluate, settings)
    assert [checkpoint.epoch for checkpoint in kept] == list(range(1, whole.epochs + 1))
    best = {checkpoint.epoch: checkpoint.best_parameters for checkpoint in kept}
    for checkpoint in kept:
        resumed = fit(
            new_learner(),
            train=train,
            validation=evaluate,
            settings=settings,
            listen=ignore,
            start=checkpoint_from(
                checkpoint.progress(), checkpoint.state, best[checkpoint.best_epoch]
            ),
        )
        assert_same_result(resumed, whole)


@pytest.mark.parametrize("polls", [0, 1, 3, 6, 7, 20, 33])
def test_a_run_killed_at_any_moment_and_resumed_from_its_folder_is_one_never_killed(
    train: Shuffled, validation: Validation, tmp_path: Path, polls: int
) -> None:
    settings = asked(8, schedule=Schedule(kind="cosine"))
    run = Run(tmp_path)

    def keep(checkpoint: Checkpoint) -> None:
        run.write_checkpoint(checkpoint.state, checkpoint.progress(), checkpoint.best_parameters)

    def go_on(should_stop: Callable[[], bool]) -> FitResult:
        saved = run.checkpoint()
        return fit(
            new_learner(),
            train=train,
            validation=validation,
            settings=settings,
            listen=ignore,
            keep=keep,
            recall=run.best,
            start=checkpoint_from(saved[1], saved[0]) if saved else None,
            should_stop=should_stop,
        )

    assert go_on(stop_after(polls)).reason == "interrupted"
    resumed = go_on(lambda: False)
    assert_same_result(checkpoints_of(train, validation, settings)[1], resumed)
    assert_same_arrays(resumed.parameters, run.best(resumed.best_epoch))


def test_best_parameters_are_offered_when_they_are_new(
    train: Shuffled, validation: Validation
) -> None:
    kept, result = checkpoints_of(train, validation, asked(20))
    offered = [checkpoint.epoch for checkpoint in kept if checkpoint.best_parameters is not None]
    assert offered == [record.epoch for record in result.history if record.is_best]
    assert offered[-1] == result.best_epoch == kept[-1].best_epoch


def test_of_equal_epochs_the_first_is_best(train: Shuffled, validation: Validation) -> None:
    """A learner that stands still."""
    result = fit(
        new_learner(0.0), train=train, validation=validation, settings=asked(3), listen=ignore
    )
    assert [record.is_best for record in result.history] == [True, False, False]
    assert result.best_epoch == 1


def test_with_a_way_to_recall_them_no_copy_of_the_parameters_is_held(
    train: Shuffled, validation: Validation
) -> None:
    """What is offered are the learner's own arrays, and what is returned is what was recalled."""
    learner, stored = new_learner(), dict[int, Mapping[str, FloatArray]]()
    recalled: list[int] = []

    def keep(checkpoint: Checkpoint) -> None:
        if checkpoint.best_parameters is not None:
            assert checkpoint.best_parameters is learner.network.weights
            stored.clear()
            stored[checkpoint.epoch] = {"logits.bias": np.zeros(3)}

    def recall(epoch: int) -> Mapping[str, FloatArray]:
        recalled.append(epoch)
        return stored[epoch]

    result = fit(
        learner,
        train=train,
        validation=validation,
        settings=asked(),
        listen=ignore,
        keep=keep,
        recall=recall,
    )
    assert recalled == [result.best_epoch]
    assert result.parameters is stored[result.best_epoch]


def test_a_finished_run_that_is_resumed_does_nothing(
    train: Shuffled, validation: Validation
) -> None:
    kept, whole = checkpoints_of(train, validation, asked(4))
    learner = new_learner()
    again = fit(
        learner,
        train=train,
        validation=validation,
        settings=asked(4),
        listen=ignore,
        start=checkpoint_from(
            kept[-1].progress(), kept[-1].state, kept[whole.best_epoch - 1].best_parameters
        ),
    )
    assert_same_result(again, whole)
    assert learner.rates == []


def test_more_epochs_go_on_from_the_last_one(train: Shuffled, validation: Validation) -> None:
    kept, four = checkpoints_of(train, validation, asked(4))
    events: list[Event] = []
    longer = fit(
        new_learner(),
        train=train,
        validation=validation,
        settings=asked(6),
        listen=events.append,
        start=checkpoint_from(kept[-1].progress(), kept[-1].state, four.parameters),
    )
    assert events[0] == TrainingStarted(epochs=6, first_epoch=5, steps_per_epoch=5, images=40)
    assert_same_result(longer, checkpoints_of(train, validation, asked(6))[1])


def test_going_on_needs_the_best_parameters(train: Shuffled, validation: Validation) -> None:
    kept, result = checkpoints_of(train, validation, asked(4))
    start = checkpoint_from(kept[-1].progress(), kept[-1].state)
    message = (
        "checkpoint: going on needs the best parameters, those of epoch "
        f"{result.best_epoch}, found none: give them, or a way to recall them"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        fit(
            new_learner(),
            train=train,
            validation=validation,
            settings=asked(6),
            listen=ignore,
            start=start,
        )


def test_what_began_without_validation_goes_on_without(
    train: Shuffled, validation: Validation
) -> None:
    kept, _ = checkpoints_of(train, None, asked(2))
    with pytest.raises(RunError, match="must have a validation loss, they were trained without"):
        fit(
            new_learner(),
            train=train,
            validation=validation,
            settings=asked(6),
            listen=ignore,
            start=kept[-1],
        )


# -- interrupting ---------------------------------------------------------------------------------


def test_a_stop_within_the_first_epoch_keeps_what_there_is(
    train: Shuffled, validation: Validation
) -> None:
    learner = new_learner()
    result = fit(
        learner,
        train=train,
        validation=validation,
        settings=asked(),
        listen=ignore,
        should_stop=stop_after(3),  # asked once before the epoch, then before each step
    )
    assert (result.reason, result.epochs, result.best_epoch) == ("interrupted", 0, 0)
    assert len(learner.rates) == 2
    assert_same_arrays(result.parameters, learner.network.weights)
    assert result.parameters is not learner.network.weights


def test_a_stop_later_keeps_the_best_whole_epoch(train: Shuffled, validation: Validation) -> None:
    events: list[Event] = []
    result = fit(
        new_learner(),
        train=train,
        validation=validation,
        settings=asked(),
        listen=events.append,
        should_stop=stop_after(6 + 6 + 3),
    )
    two = fit(new_learner(), train=train, validation=validation, settings=asked(2), listen=ignore)
    assert (result.reason, result.epochs) == ("interrupted", 2)
    assert result.history == two.history
    assert_same_arrays(result.parameters, two.parameters)
    assert isinstance(events[-1], TrainingEnded)
    assert events[-1].reason == "interrupted"


# -- diverging ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.0, math.inf])
def test_a_nan_loss_names_its_step_and_keeps_the_best_epoch(
    train: Shuffled, validation: Validation, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_module, "DRAIN_SECONDS", seconds)
    train.broken = (3, 2)
    events: list[Event] = []
    result = fit(
        new_learner(), train=train, validation=validation, settings=asked(), listen=events.append
    )
    two = fit(new_learner(), train=train, validation=validation, settings=asked(2), listen=ignore)
    assert (result.reason, result.epochs, result.best_epoch) == ("diverged", 2, two.best_epoch)
    assert_same_arrays(result.parameters, two.parameters)
    assert result.divergence is not None
    assert str(result.divergence.error()) == (
        "epoch 3: the loss must be a finite number, found nan since step 2, and the weights of "
        f"epoch {two.best_epoch} were kept: train again with a learning rate below 0.1, such as "
        "0.01"
    )
    assert isinstance(events[-1], TrainingEnded)
    assert events[-1].reason == "diverged"
    assert all(math.isfinite(event.loss) for event in events if isinstance(event, StepsDone))


def test_a_nan_loss_in_the_first_epoch_keeps_nothing(
    train: Shuffled, validation: Validation
) -> None:
    train.broken = (1, 1)
    result = fit(new_learner(), train=train, validation=validation, settings=asked(), listen=ignore)
    assert (result.reason, result.epochs, result.parameters) == ("diverged", 0, None)
    assert result.divergence is not None
    assert "since step 1, and no weights were kept" in str(result.divergence.error())


def test_a_stop_does_not_hide_a_nan_loss(train: Shuffled, validation: Validation) -> None:
    train.broken = (1, 1)
    result = fit(
        new_learner(),
        train=train,
        validation=validation,
        settings=asked(),
        listen=ignore,
        should_stop=stop_after(3),
    )
    assert result.reason == "diverged"


def wild_step() -> tuple[RegressionLearner, Shuffled]:
    """The loss of the epoch's only step is finite, the weights after it are not."""
    images, labels = draw_blobs(40, "train")
    return new_learner(1e308), Shuffled(images * 100, labels, batch_size=40)


def test_a_validation_loss_that_is_not_finite_ends_training(validation: Validation) -> None:
    learner, train = wild_step()
    result = fit(learner, train=train, validation=validation, settings=asked(), listen=ignore)
    assert result.reason == "diverged"
    assert result.divergence is not None
    assert str(result.divergence.error()).startswith(
        "epoch 1: the validation loss must be a finite number, found nan after the last step"
    )


def test_without_validation_the_weights_themselves_are_looked_at() -> None:
    learner, train = wild_step()
    result = fit(learner, train=train, validation=None, settings=asked(1), listen=ignore)
    assert (result.reason, result.parameters) == ("diverged", None)
    assert result.divergence is not None
    assert str(result.divergence.error()).startswith(
        "epoch 1: every weight must be a finite number, found nan after the last step"
    )


# -- what cannot be asked -------------------------------------------------------------------------


def test_a_plateau_needs_a_validation_split(train: Shuffled) -> None:
    message = (
        "schedule 'plateau' follows the validation loss, and there is no validation split: "
        "hold some images out, or choose 'step' or 'cosine'"
    )
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        fit(
            new_learner(),
            train=train,
            validation=None,
            settings=asked(schedule=Schedule(kind="plateau")),
            listen=ignore,
        )


def test_validation_is_not_to_be_watched_twice(train: Shuffled, validation: Validation) -> None:
    with pytest.raises(SettingsError, match="a watched split must have a name of its own, got 'va"):
        fit(
            new_learner(),
            train=train,
            validation=None,
            settings=asked(),
            listen=ignore,
            watch={"validation": validation},
        )


class NoBatches(Shuffled):
    """A train split without images."""

    def __len__(self) -> int:
        return 0

    def epoch(self, epoch: int) -> Iterator[Sample]:
        return iter(())


def test_nothing_to_train_on_is_refused(validation: Validation) -> None:
    with pytest.raises(DataError, match="training needs at least one image, got none: give it"):
        fit(
            new_learner(),
            train=NoBatches(*draw_blobs(0, "none")),
            validation=validation,
            settings=asked(),
            listen=ignore,
        )

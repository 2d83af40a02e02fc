"""Phases counted on, and resumed, with a learner whose parameters are numbers one can foresee."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Dense, Flatten
from convoscope.arrays import FloatArray, generator
from convoscope.data.batches import Batches
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.network import HeadLoss, Learner, Network, Optimiser
from convoscope.training.checkpoint import Checkpoint
from convoscope.training.events import Event, TrainingEnded, TrainingStarted
from convoscope.training.loop import Parameters
from convoscope.training.outcome import FitResult
from convoscope.training.phases import Phase, fit_phases
from convoscope.training.settings import TrainingSettings

NET = Architecture(
    name="net",
    input_shape=(1, 2, 2),
    layers=(),
    heads=(Head(layers=(Flatten("flat"), Dense("below", 3), Dense("top", 2))),),
)
IMAGES = generator(0, "phases").random((12, 2, 2, 1), dtype=np.float32)
LABELS = np.arange(12) % 2


class Kept:
    """What a run keeps on disk, in memory."""

    def __init__(self) -> None:
        self.best: dict[int, Mapping[str, FloatArray]] = {}
        self.checkpoint: Checkpoint | None = None
        self.events: list[Event] = []

    def keep(self, checkpoint: Checkpoint) -> None:
        if checkpoint.best_parameters is not None:
            self.best = {checkpoint.best_epoch: checkpoint.best_parameters}
        self.checkpoint = checkpoint

    def recall(self, epoch: int) -> Parameters:
        return self.best[epoch]


def evaluate(network: Network) -> Predictions:
    logits = network.logits(IMAGES.transpose(0, 3, 1, 2))["class"]
    head = HeadPredictions(class_names=("a", "b"), labels=LABELS, logits=logits, output="softmax")
    return Predictions(split="validation", ids=tuple(map(str, range(12))), heads={"class": head})


def phase(name: str, rates: Mapping[str, float], epochs: int, *, rate: float = 0.1) -> Phase:
    optimiser = Optimiser(kind="sgd", learning_rate=rate)
    settings = TrainingSettings(epochs=epochs, batch_size=4, optimiser=optimiser, patience=None)

    def learner(best: Parameters | None) -> Learner:
        network = engines.build(NET, engine="numpy")
        started = network if best is None else network.with_parameters(best)
        return engines.learner(
            started, optimiser=optimiser, losses=[HeadLoss(head="class")], rates=rates
        )

    labels = {"class": LABELS}
    train = Batches(IMAGES, labels, np.arange(12), batch_size=4, seed=0, policy="none")
    return Phase(
        name=name, learner=learner, settings=settings, train=train, validation=evaluate, watch={}
    )


PHASES = (phase("head", {"below": 0.0}, 2), phase("tuned", {}, 3))


def trained(
    phases: tuple[Phase, ...], kept: Kept, stop: Callable[[], bool] = lambda: False
) -> FitResult:
    return fit_phases(
        phases,
        listen=kept.events.append,
        keep=kept.keep,
        recall=kept.recall,
        start=kept.checkpoint,
        should_stop=stop,
    )


def test_epochs_are_counted_on_and_each_says_its_phase() -> None:
    result = trained(PHASES, Kept())
    assert [(r.epoch, r.phase) for r in result.history] == [
        (1, "head"),
        (2, "head"),
        (3, "tuned"),
        (4, "tuned"),
        (5, "tuned"),
    ]
    assert result.epochs == 5


def test_a_phase_begins_with_what_the_one_before_learnt() -> None:
    losses = [r.scores["validation_loss"] for r in trained(PHASES, Kept()).history]
    assert losses == sorted(losses, reverse=True)


def test_training_begins_for_each_phase_and_ends_once() -> None:
    kept = Kept()
    trained(PHASES, kept)
    began = [e.first_epoch for e in kept.events if isinstance(e, TrainingStarted)]
    assert began == [1, 3]
    assert [e.epochs for e in kept.events if isinstance(e, TrainingEnded)] == [5]


def test_the_best_of_all_phases_is_kept() -> None:
    spoiling = phase("tuned", {}, 2, rate=50.0)
    result = trained((PHASES[0], spoiling), Kept())
    assert result.best_epoch == 2
    alone = trained(PHASES[:1], Kept())
    assert result.parameters is not None
    assert alone.parameters is not None
    for name, array in alone.parameters.items():
        np.testing.assert_array_equal(result.parameters[name], array)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_stopped_anywhere_and_gone_on_it_ends_as_if_never_stopped(after: int) -> None:
    whole, kept = trained(PHASES, Kept()), Kept()
    stopped = trained(
        PHASES, kept, lambda: kept.checkpoint is not None and kept.checkpoint.epoch >= after
    )
    assert (stopped.reason, stopped.epochs) == ("interrupted", after)
    resumed = trained(PHASES, kept)
    assert resumed.history == whole.history
    assert resumed.parameters is not None
    assert whole.parameters is not None
    for name, array in whole.parameters.items():
        assert resumed.parameters[name].tobytes() == array.tobytes()


def test_a_phase_that_diverges_is_the_last() -> None:
    first = replace(PHASES[0], settings=replace(PHASES[0].settings, epochs=1))
    broken = phase("tuned", {}, 2, rate=1e30)
    with np.errstate(over="ignore", invalid="ignore"):
        result = trained((first, broken, phase("never", {}, 1)), Kept())
    assert result.reason == "diverged"
    assert result.divergence is not None
    assert result.divergence.kept_epoch == result.best_epoch
    assert "never" not in {record.phase for record in result.history}

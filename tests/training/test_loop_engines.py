"""The loop on real networks: dropout, batch norm and Adam have state that resuming must restore."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import CLASSES, SIDE, Shuffled, draw_blobs, evaluation

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d
from convoscope.arrays import FloatArray, IntArray
from convoscope.metrics.classification import head_loss
from convoscope.metrics.predictions import HeadPredictions, Output
from convoscope.network import Engine, HeadLoss, Learner, Network, Optimiser
from convoscope.runs.store import Run
from convoscope.training.checkpoint import Checkpoint, checkpoint_from
from convoscope.training.loop import fit
from convoscope.training.outcome import FitResult
from convoscope.training.settings import Schedule, TrainingSettings

SETTINGS = TrainingSettings(
    epochs=8,
    optimiser=Optimiser(kind="adam", learning_rate=0.03),
    schedule=Schedule(kind="cosine", warmup=1),
    patience=None,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only lose by more, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny() -> Architecture:
    return Architecture(
        name="tiny",
        input_shape=(1, SIDE, SIDE),
        layers=(
            Conv2d(name="conv", filters=4, kernel_size=3, padding=1, activation="relu"),
            BatchNorm(name="norm"),
            MaxPool2d(name="pool", kernel_size=2, stride=2),
        ),
        heads=(
            Head(
                layers=(
                    Flatten(name="flatten"),
                    Dropout(name="dropout", rate=0.3),
                    Dense(name="logits", units=CLASSES),
                )
            ),
        ),
    )


def unit_blobs(images: int, purpose: str) -> tuple[FloatArray, IntArray]:
    """The blobs as float32 images in [0, 1]."""
    values, labels = draw_blobs(images, purpose)
    return np.clip(values / 6 + 0.5, 0, 1).astype(np.float32), labels


def new_learner(engine: Engine) -> Learner:
    network = engines.build(tiny(), engine=engine, seed=3, device="cpu")
    return engines.learner(
        network, optimiser=SETTINGS.optimiser, losses=[HeadLoss(head="class")], seed=3
    )


def train(
    engine: Engine,
    run: Run | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FitResult:
    def keep(checkpoint: Checkpoint) -> None:
        if run:
            run.write_checkpoint(
                checkpoint.state, checkpoint.progress(), checkpoint.best_parameters
            )

    saved = run.checkpoint() if run else None
    return fit(
        new_learner(engine),
        train=Shuffled(*unit_blobs(40, "train")),
        validation=evaluation("validation", *unit_blobs(60, "validation")),
        settings=SETTINGS,
        listen=lambda event: None,
        keep=keep,
        recall=run.best if run else None,
        start=checkpoint_from(saved[1], saved[0]) if saved else None,
        should_stop=should_stop,
    )


def is_over(count: Iterator[int], polls: int) -> bool:
    """Whether it was asked ``polls`` times before."""
    return next(count) >= polls


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_it_learns(engine: Engine) -> None:
    result = train(engine)
    losses = [record.scores["validation_loss"] for record in result.history]
    assert losses[-1] < 0.8 * math.log(CLASSES)  # a guess scores log K


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_the_kept_parameters_score_what_the_history_says(engine: Engine) -> None:
    result = train(engine)
    assert result.parameters is not None
    network: Network = engines.build(
        tiny(), engine=engine, device="cpu", parameters=result.parameters
    )
    predictions = evaluation("validation", *unit_blobs(60, "validation"))(network)
    head = predictions.heads["class"]
    best = result.history[result.best_epoch - 1].scores
    assert (head.predicted() == head.labels).mean() == best["validation_accuracy"]


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_a_run_killed_twice_and_resumed_is_one_never_killed(engine: Engine, tmp_path: Path) -> None:
    whole, run = train(engine), Run(tmp_path)
    for polls in (9, 8):
        count = itertools.count()
        assert train(engine, run, partial(is_over, count, polls)).reason == "interrupted"
    resumed = train(engine, run)
    assert resumed.history == whole.history
    assert resumed.parameters is not None
    assert whole.parameters is not None
    assert set(resumed.parameters) == set(whole.parameters)
    for name, values in whole.parameters.items():
        assert resumed.parameters[name].tobytes() == values.tobytes(), name


def test_both_engines_learn_the_same() -> None:
    one, other = train("numpy"), train("torch")
    for mine, theirs in zip(one.history, other.history, strict=True):
        assert mine.scores["validation_loss"] == pytest.approx(
            theirs.scores["validation_loss"], rel=1e-3
        )


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(("output", "classes"), [("softmax", 3), ("sigmoid", 2), ("sigmoid", 4)])
def test_the_loss_of_the_metrics_is_the_loss_that_is_learnt(
    engine: Engine, output: Output, classes: int
) -> None:
    units = 1 if output == "sigmoid" and classes == 2 else classes
    layers = (Flatten(name="flatten"), Dense(name="logits", units=units))
    architecture = Architecture(
        name="line",
        input_shape=(1, SIDE, SIDE),
        layers=(),
        heads=(Head(layers=layers, output=output),),
    )
    network = engines.build(architecture, engine=engine, device="cpu", precision="float64")
    images, labels = unit_blobs(20, "train")
    labels = np.where(np.arange(20) < 5, -1, labels % classes)
    said = HeadPredictions(
        class_names=tuple(str(k) for k in range(classes)),
        labels=labels,
        logits=network.logits(images)["class"],
        output=output,
    )
    learner = engines.learner(network, optimiser=Optimiser(), losses=[HeadLoss(head="class")])
    learner.step(images, {"class": labels})
    assert head_loss(said) == pytest.approx(float(learner.drain_losses()[0]), rel=1e-12)

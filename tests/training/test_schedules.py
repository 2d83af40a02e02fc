from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Sequence

import pytest
import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LRScheduler,
    ReduceLROnPlateau,
    StepLR,
)

from convoscope.arrays import generator
from convoscope.training.schedules import plateaus, rate
from convoscope.training.settings import Schedule


def first_steps(schedule: Schedule, epochs: int, losses: Sequence[float] = ()) -> list[float]:
    """The multiplier at the first step of each epoch of one step."""
    return [
        rate(
            schedule,
            epochs=epochs,
            epoch=epoch,
            step=1,
            steps=1,
            validation_losses=losses[: epoch - 1],
        )
        for epoch in range(1, epochs + 1)
    ]


def torch_rates(make: Callable[[torch.optim.Optimizer], LRScheduler], epochs: int) -> list[float]:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimiser)
    rates = []
    for _ in range(epochs):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def test_none_leaves_the_rate_alone() -> None:
    assert first_steps(Schedule(), 5) == [1.0] * 5


def test_step_is_that_of_pytorch() -> None:
    expected = torch_rates(lambda sgd: StepLR(sgd, step_size=6, gamma=0.3), 20)
    assert first_steps(Schedule(kind="step", every=6, factor=0.3), 20) == pytest.approx(expected)


def test_cosine_is_that_of_pytorch() -> None:
    expected = torch_rates(lambda sgd: CosineAnnealingLR(sgd, T_max=20), 20)
    assert first_steps(Schedule(kind="cosine"), 20) == pytest.approx(expected, abs=1e-12)


def test_cosine_falls_at_every_step_and_ends_at_0() -> None:
    schedule = Schedule(kind="cosine")
    rates = [
        rate(schedule, epochs=4, epoch=epoch, step=step, steps=50)
        for epoch in range(1, 5)
        for step in range(1, 51)
    ]
    assert rates[0] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert 0 < rates[-1] < 1e-4


@pytest.mark.parametrize("every", [1, 2, 3])
def test_plateau_is_that_of_pytorch(every: int) -> None:
    losses = generator(0, "losses").uniform(size=40).tolist()
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = ReduceLROnPlateau(optimiser, factor=0.5, patience=every - 1, threshold=0.0, eps=0.0)
    expected = []
    for loss in losses:
        expected.append(optimiser.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no step of the optimiser precedes it here
            scheduler.step(loss)
    schedule = Schedule(kind="plateau", every=every, factor=0.5)
    assert first_steps(schedule, 40, losses) == pytest.approx(expected, rel=1e-12)


def test_an_equal_loss_is_no_better_one() -> None:
    assert plateaus([1.0, 1.0, 1.0], every=2) == 1
    assert plateaus([1.0, 1.0, 0.9, 0.95], every=2) == 0


def test_warmup_rises_by_the_step_and_reaches_the_full_rate() -> None:
    schedule = Schedule(kind="none", warmup=2)
    rates = [
        rate(schedule, epochs=5, epoch=epoch, step=step, steps=4)
        for epoch in (1, 2, 3)
        for step in (1, 2, 3, 4)
    ]
    assert rates == pytest.approx([i / 8 for i in range(1, 9)] + [1.0] * 4)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule(kind="step", every=2, warmup=1), [1, 1, 1, 0.1, 0.1]),
        (Schedule(kind="cosine", warmup=1), [1, 1, *(cosine := [0.5 + math.sqrt(0.125), 0.5])]),
        (Schedule(kind="plateau", every=1, warmup=1), [1, 1, 1, 1, 0.1]),
    ],
)
def test_a_schedule_begins_where_the_warmup_ends(schedule: Schedule, expected: list[float]) -> None:
    losses = [0.1, 0.9, 0.8, 0.8, 0.7]  # the warm-up's own loss is no mark to beat
    found = first_steps(schedule, 5, losses)
    assert found[: len(expected)] == pytest.approx(expected)

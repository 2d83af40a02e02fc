from __future__ import annotations

import re
from typing import Any

import pytest

from convoscope.errors import SettingsError, UnknownNameError
from convoscope.training.settings import Schedule, TrainingSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0: give a larger one"),
        ({"batch_size": 0}, "batch must be at least 1, got 0: 32 is usual"),
        (
            {"patience": 0},
            "patience must be at least 1, got 0: leave early stopping off with 0",
        ),
        (
            {"label_smoothing": 1.0},
            "label_smoothing must be at least 0 and below 1, got 1.0: 0.1 is usual",
        ),
        (
            {"epochs": 3, "schedule": Schedule(warmup=3)},
            "schedule: warmup must end before training does, got 3 of 3 epochs: "
            "warm up for fewer or train for more",
        ),
        (
            {"head_weights": (("angle", -1.0),)},
            "head_weights: that of 'angle' must be at least 0 and finite, got -1.0: "
            "1 leaves it as it is",
        ),
        (
            {"rates": (("conv1", float("nan")),)},
            "rates: that of 'conv1' must be at least 0 and finite, got nan: 1 leaves it as it is",
        ),
        (
            {"rates": (("conv1", 0.1), ("conv1", 0.0))},
            "rates: each name must be there once, 'conv1' is there 2 times: keep one of them",
        ),
    ],
)
def test_a_number_out_of_its_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        TrainingSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "schedule: every must be at least 1 epoch, got 0: 10 is usual"),
        (
            {"factor": 1.0},
            "schedule: factor must lie between 0 and 1, got 1.0: "
            "0.1 makes the learning rate ten times smaller",
        ),
        (
            {"warmup": -1},
            "schedule: warmup must be at least 0 epochs, got -1: 0 leaves it out",
        ),
    ],
)
def test_a_schedule_out_of_its_range_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        Schedule(**settings)


def test_an_unknown_schedule_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no schedule 'cosin': did you mean 'cosine'"):
        Schedule(kind="cosin")  # type: ignore[arg-type]


def test_an_unknown_kind_of_class_weights_is_named_with_the_nearest() -> None:
    message = "no kind of class weights 'balance': did you mean 'balanced'"
    with pytest.raises(UnknownNameError, match=message):
        TrainingSettings(class_weights="balance")  # type: ignore[arg-type]


def test_the_defaults_are_sound() -> None:
    assert TrainingSettings() == TrainingSettings(epochs=50, batch_size=32, patience=10)

from __future__ import annotations

import pytest

from convoscope.network import Optimiser, OptimiserKind
from convoscope.training.outcome import Divergence, lower_rate


@pytest.mark.parametrize(
    ("kind", "rate", "advice"),
    [
        ("sgd", 0.1, "a learning rate below 0.1, such as 0.01"),
        ("adam", 0.001, "a learning rate below 0.001, such as 0.0001"),
        ("adam", 0.1, "a much lower learning rate than 0.1, 0.001 is usual for adam"),
        ("adamw", 1e20, "a much lower learning rate than 1e+20, 0.001 is usual for adamw"),
        ("sgd", 1e20, "a much lower learning rate than 1e+20, 0.01 is usual for sgd"),
    ],
)
def test_a_tenth_is_advised_but_no_more_than_is_usual(
    kind: OptimiserKind, rate: float, advice: str
) -> None:
    assert lower_rate(kind, rate) == advice


def test_a_divergence_advises_for_its_own_optimiser() -> None:
    divergence = Divergence(
        epoch=1,
        step=None,
        what="the loss",
        value=float("inf"),
        kept_epoch=0,
        optimiser=Optimiser(kind="sgd", learning_rate=5.0),
    )
    assert str(divergence.error()) == (
        "epoch 1: the loss must be a finite number, found inf after the last step, and no weights "
        "were kept: train again with a much lower learning rate than 5, 0.01 is usual for sgd"
    )

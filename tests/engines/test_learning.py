"""Rates, weight decay and loss terms: what both engines' learners start from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convoscope.architecture.branches import Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
    SeparableConv2d,
)
from convoscope.arrays import Array
from convoscope.engines.learning import batch_terms, check_losses, multipliers, undecayed
from convoscope.engines.weights import parameter_shapes
from convoscope.errors import ConvoscopeError, SettingsError, UnknownNameError
from convoscope.network import HeadLoss

ARCHITECTURE = Architecture(
    name="t",
    input_shape=(2, 6, 6),
    layers=(
        Conv2d("conv1", 2, padding=1),
        Conv2d("conv10", 2, padding=1),
        Residual("join", (SeparableConv2d("inner", 2, padding=1), BatchNorm("norm"))),
    ),
    heads=(
        Head(name="kind", layers=(Flatten("flat"), Dense("kind1", 3))),
        Head(name="odd", layers=(GlobalAvgPool("mean"), Dense("odd1", 1)), output="sigmoid"),
    ),
)
NAMES = tuple(parameter_shapes(ARCHITECTURE))


def chosen(rates: dict[str, float]) -> dict[str, float]:
    """The multipliers that are not 1."""
    return {n: m for n, m in multipliers(ARCHITECTURE, NAMES, rates).items() if m != 1}


def test_a_layers_name_stands_for_that_layer() -> None:
    assert chosen({"conv1": 0.0}) == {"conv1.weight": 0.0, "conv1.bias": 0.0}


def test_a_joining_layers_name_stands_for_the_layers_inside() -> None:
    assert set(chosen({"join": 0.5})) == {n for n in NAMES if n.startswith(("inner.", "norm."))}


def test_a_prefix_stands_for_all_that_begins_with_it() -> None:
    assert set(chosen({"conv": 0.5})) == {n for n in NAMES if n.startswith("conv")}
    assert chosen({"conv1.b": 0.5}) == {"conv1.bias": 0.5}
    assert chosen({"": 0.5}) == dict.fromkeys(NAMES, 0.5)


def test_the_longest_key_counts() -> None:
    rates = chosen({"": 0.1, "conv1": 0.2, "conv1.bias": 0.3, "conv10": 0.4})
    assert rates["conv1.weight"] == 0.2
    assert rates["conv1.bias"] == 0.3
    assert rates["conv10.bias"] == 0.4
    assert rates["odd1.bias"] == 0.1


def test_a_layer_without_parameters_may_have_a_rate() -> None:
    assert chosen({"flat": 0.0}) == {}


@pytest.mark.parametrize(
    ("rates", "kind", "message"),
    [
        ({"conv3": 0.0}, UnknownNameError, "there is no layer 'conv3': did you mean 'conv1"),
        ({"conv1": -0.1}, SettingsError, "rate of 'conv1' must be at least 0 and finite, got -0.1"),
        ({"conv1": float("nan")}, SettingsError, "must be at least 0 and finite, got nan"),
    ],
)
def test_rates_that_cannot_be_are_one_sentence(
    rates: dict[str, float], kind: type[ConvoscopeError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        multipliers(ARCHITECTURE, NAMES, rates)
    assert message in str(caught.value)


def test_biases_and_batch_norm_do_not_decay() -> None:
    assert undecayed(ARCHITECTURE) == {
        "conv1.bias",
        "conv10.bias",
        "inner.bias",
        "norm.weight",
        "norm.bias",
        "kind1.bias",
        "odd1.bias",
    }


@pytest.mark.parametrize(
    ("losses", "kind", "message"),
    [
        ([], SettingsError, "a learner needs at least one loss, got none: give a HeadLoss"),
        ([HeadLoss(head="knd")], UnknownNameError, "there is no head 'knd': did you mean 'kind'?"),
        (
            [HeadLoss(head="odd"), HeadLoss(head="odd")],
            SettingsError,
            "head 'odd': there must be one loss per head, got two",
        ),
        (
            [HeadLoss(head="odd", class_weights=(1.0, 2.0, 3.0))],
            SettingsError,
            "head 'odd': class_weights must be one per class (2), got 3",
        ),
        (
            [HeadLoss(head="kind", class_weights=(1.0, 2.0, -3.0))],
            SettingsError,
            "head 'kind': class_weights must be at least 0, got -3.0",
        ),
        (
            [HeadLoss(head="kind", label_smoothing=1.0)],
            SettingsError,
            "head 'kind': label_smoothing must be at least 0 and below 1, got 1.0",
        ),
        (
            [HeadLoss(head="kind", weight=-1.0)],
            SettingsError,
            "head 'kind': weight must be at least 0 and finite, got -1.0",
        ),
    ],
)
def test_losses_that_cannot_be_are_one_sentence(
    losses: list[HeadLoss], kind: type[ConvoscopeError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        check_losses(ARCHITECTURE, losses)
    assert str(caught.value) == message


def test_losses_that_fit_pass() -> None:
    check_losses(ARCHITECTURE, [HeadLoss(head="kind", class_weights=(1, 0, 2))])
    check_losses(ARCHITECTURE, [HeadLoss(head="odd", class_weights=(1, 2)), HeadLoss(head="kind")])


def terms(labels: Array, **options: Any) -> tuple[Array, Array]:
    loss = HeadLoss(head=options.pop("head", "kind"), **options)
    got = batch_terms(ARCHITECTURE, [loss], {loss.head: labels}, len(labels), "float64")
    return got[loss.head].targets, got[loss.head].weights


def test_labels_become_targets_and_unknown_ones_weigh_nothing() -> None:
    targets, weights = terms(np.array([2, -1, 0]))
    np.testing.assert_array_equal(targets[[0, 2]], [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(weights, [0.5, 0, 0.5])


def test_class_weights_and_the_heads_weight_multiply() -> None:
    _, weights = terms(np.array([2, 1, 0, 0]), class_weights=(1.0, 2.0, 4.0), weight=3.0)
    np.testing.assert_allclose(weights, np.array([4, 2, 1, 1]) * 3 / 8)
    soft = np.array([[0.5, 0.5, 0], [0, 0, 0], [0, 0, 1]])
    _, weights = terms(soft, class_weights=(1.0, 2.0, 4.0))
    np.testing.assert_allclose(weights, np.array([1.5, 1, 4]) / 6.5)


def test_smoothing_mixes_with_the_uniform_distribution() -> None:
    targets, _ = terms(np.array([2]), label_smoothing=0.3)
    np.testing.assert_allclose(targets, [[0.1, 0.1, 0.8]])
    targets, _ = terms(np.array([1, 0]), head="odd", label_smoothing=0.2)
    np.testing.assert_allclose(targets, [[0.9], [0.1]])


def test_soft_labels_are_taken_as_they_are() -> None:
    soft = np.array([[0.2, 0.3, 0.5]])
    np.testing.assert_allclose(terms(soft)[0], soft)
    np.testing.assert_allclose(terms(np.array([[0.2, 0.8]]), head="odd")[0], [[0.8]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"odd": np.array([0, 1])}, "needs labels, got labels for odd: give -1 where a label is"),
        ({}, "head 'kind': a head with a loss needs labels, got labels for no head"),
        ({"kind": np.array([0])}, "must be one label per image (2), got 1"),
        ({"kind": np.array([0, 3])}, "a label must be from 0 to 2, or -1 where not known, got 3"),
        ({"kind": np.array([0, -2])}, "or -1 where not known, got -2"),
        ({"kind": np.array([0.0, 1.0])}, "integers (N,) or floats (N, 3), got float64 of shape (2"),
        ({"kind": np.zeros((2, 4))}, "got float64 of shape (2, 4)"),
        ({"kind": np.zeros((2, 3), dtype=int)}, "got int64 of shape (2, 3)"),
    ],
)
def test_labels_that_do_not_fit_are_one_sentence(labels: dict[str, Array], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        batch_terms(ARCHITECTURE, [HeadLoss(head="kind")], labels, 2)
    assert message in str(caught.value)

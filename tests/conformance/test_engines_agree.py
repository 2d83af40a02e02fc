"""Both engines compute the same numbers, in float64 to nine digits.

PyTorch's automatic differentiation is the oracle of the NumPy engine's derivatives, and the
NumPy engine's arithmetic that of the torch engine's wiring: hooks, masks, rules and rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from tests.conformance.conftest import images_for, same

from convoscope import engines
from convoscope.architecture.graph import (
    Architecture,
    Head,
    class_count,
    logit_shapes,
    trunk_shape,
    walk,
)
from convoscope.architecture.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
)
from convoscope.arrays import Array, FloatArray, generator
from convoscope.network import (
    Channel,
    ClassLogit,
    HeadLoss,
    Learner,
    Network,
    Neuron,
    Optimiser,
    ReluRule,
    Target,
)

RULES: Sequence[ReluRule] = ("plain", "guided", "deconvnet")
OPTIMISERS = (
    Optimiser(kind="sgd", learning_rate=0.1),
    Optimiser(kind="sgd", learning_rate=0.1, weight_decay=0.02),
    Optimiser(kind="sgd", learning_rate=0.1, momentum=0.8),
    Optimiser(kind="sgd", learning_rate=0.1, momentum=0.8, nesterov=True, weight_decay=0.02),
    Optimiser(kind="adam", learning_rate=0.01),
    Optimiser(kind="adam", learning_rate=0.01, weight_decay=0.1, eps=1e-3, beta1=0.7),
    Optimiser(kind="adamw", learning_rate=0.01, weight_decay=0.1, beta2=0.9),
)
# One of each kind. Adam divides a gradient by its own size: what is 0 but for rounding becomes a
# step of any size, unless ``eps`` is well above rounding.
ONE_OF_EACH = (
    Optimiser(kind="sgd", learning_rate=0.5),
    Optimiser(kind="sgd", learning_rate=0.1, momentum=0.8, nesterov=True),
    Optimiser(kind="adam", learning_rate=0.01, eps=1e-3),
    Optimiser(kind="adamw", learning_rate=0.01, eps=1e-3, weight_decay=0.1),
)
MIXED = Architecture(
    name="mixed",
    input_shape=(3, 12, 11),
    layers=(
        Conv2d("conv1", 6, padding=1, activation="relu"),
        BatchNorm("norm1"),
        MaxPool2d("pool1"),
        Conv2d("conv10", 8, groups=2, activation="gelu"),
        Dropout("drop1", 0.2),
    ),
    heads=(
        Head(name="kind", layers=(Flatten("flat"), Dense("logits", 4))),
        Head(
            name="colour",
            layers=(
                Flatten("flat2"),
                Dense("hidden", 7, activation="selu"),
                BatchNorm("norm2"),
                Dropout("drop2", 0.5),
                Dense("colour_logits", 1),
            ),
            output="sigmoid",
        ),
    ),
)


def both(architecture: Architecture, precision: engines.Precision = "float64") -> list[Network]:
    """The NumPy network and the torch network of one seed."""
    return [
        engines.build(architecture, engine=engine, seed=3, precision=precision, device="cpu")
        for engine in ("numpy", "torch")
    ]


def labels_for(architecture: Architecture, count: int) -> dict[str, Array]:
    """Random class indices for each head."""
    rng = generator(2, "labels", architecture.name)
    shapes = logit_shapes(architecture)
    return {
        head.name: rng.integers(0, class_count(head, shapes[head.name][0]), count)
        for head in architecture.heads
    }


def learners(
    networks: Sequence[Network],
    optimiser: Optimiser,
    losses: Sequence[HeadLoss] | None = None,
    rates: Mapping[str, float] | None = None,
) -> list[Learner]:
    """A learner on each network, with a plain loss for each head unless told otherwise."""
    heads = networks[0].architecture.heads
    chosen = losses or [HeadLoss(head=head.name) for head in heads]
    return [
        engines.learner(network, optimiser=optimiser, losses=chosen, rates=rates, seed=11)
        for network in networks
    ]


def same_parameters(first: Network, second: Network, *, relative: float = 1e-9) -> None:
    """Assert that all parameters and running statistics agree."""
    found, expected = first.parameters(), second.parameters()
    assert set(found) == set(expected)
    for name in expected:
        same(found[name], expected[name], relative=relative)


def targets_of(architecture: Architecture) -> list[Target]:
    """A logit of each head and, of the trunk's output, one map's mean and one cell."""
    logits = [ClassLogit(head.name, 0) for head in architecture.heads]
    last = architecture.layers[-1].name
    shape = (*trunk_shape(architecture), 1, 1)[:3]
    neuron = Neuron(last, shape[1] - 1, 0, shape[0] - 1)
    return [*logits, Channel(last, 0), neuron]


def check_activations_and_gradients(architecture: Architecture, images: FloatArray) -> None:
    """Assert that logits, every layer's output and every gradient of it agree."""
    ours, theirs = both(architecture)
    names = ours.layer_names
    with ours.trace(images, layers=names) as found, theirs.trace(images, layers=names) as expected:
        for head in expected.logits:
            same(found.logits[head], expected.logits[head])
            same(ours.logits(images)[head], expected.logits[head])
        for name in names:
            same(found.activations[name], expected.activations[name])
        targets = targets_of(architecture)
        trunk = [layer.name for layer in architecture.layers[:-1]]
        for wrt in ("images", *trunk[:1], *trunk[-1:]):
            same(found.gradient(targets, wrt=wrt), expected.gradient(targets, wrt=wrt))
        for rule in RULES[1:]:
            same(
                found.gradient(targets, relu_rule=rule), expected.gradient(targets, relu_rule=rule)
            )


def check_steps(architecture: Architecture, images: FloatArray, optimiser: Optimiser) -> None:
    """Assert that two steps leave the same weights; with SGD their change is the gradient."""
    pair = learners(both(architecture), optimiser)
    labels = labels_for(architecture, len(images))
    for _ in range(2):
        for learner in pair:
            learner.step(images, labels)
    same(pair[0].drain_losses(), pair[1].drain_losses())
    same_parameters(pair[0].network, pair[1].network)


def test_every_layer_gives_the_same_activations_and_gradients(layer_case: Architecture) -> None:
    check_activations_and_gradients(layer_case, images_for(layer_case))


def test_no_images_give_no_logits(layer_case: Architecture) -> None:
    for network in both(layer_case):
        for logits in network.logits(images_for(layer_case, 0)).values():
            assert logits.shape == (0, 3)


def test_gradients_of_every_layer_are_the_same(layer_case: Architecture) -> None:
    ours, theirs = both(layer_case)
    images, names = images_for(layer_case), ours.layer_names
    target = ClassLogit(layer_case.heads[0].name, (2, 1, 0, 1, 2))
    with ours.trace(images, layers=names) as found, theirs.trace(images, layers=names) as expected:
        for name in names:  # those inside branches and in the head, too
            same(found.gradient([target], wrt=name), expected.gradient([target], wrt=name))


@pytest.mark.parametrize("optimiser", ONE_OF_EACH, ids=lambda o: f"{o.kind}-{o.momentum}")
def test_every_layer_learns_the_same(layer_case: Architecture, optimiser: Optimiser) -> None:
    check_steps(layer_case, images_for(layer_case), optimiser)


def test_every_network_of_the_zoo_gives_the_same(zoo_case: Architecture) -> None:
    check_activations_and_gradients(zoo_case, images_for(zoo_case, 2))


def test_every_network_of_the_zoo_learns_the_same(learning_zoo_case: Architecture) -> None:
    check_steps(learning_zoo_case, images_for(learning_zoo_case, 3), ONE_OF_EACH[0])


def test_both_engines_start_from_the_same_values() -> None:
    ours, theirs = both(MIXED, "float32")
    found, expected = ours.parameters(), theirs.parameters()
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], strict=True)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: f"{o.kind}-{o.momentum}-{o.eps}")
def test_every_optimiser_takes_the_same_steps(optimiser: Optimiser) -> None:
    pair = learners(both(MIXED), optimiser)
    images, labels = images_for(MIXED, 6), labels_for(MIXED, 6)
    for rate in (1.0, 0.5, 1.0, 0.1):
        for learner in pair:
            learner.step(images, labels, rate=rate)
    same(pair[0].drain_losses(), pair[1].drain_losses())
    same_parameters(pair[0].network, pair[1].network)


@pytest.mark.parametrize(
    "losses",
    [
        [HeadLoss(head="kind", label_smoothing=0.1), HeadLoss(head="colour", label_smoothing=0.2)],
        [HeadLoss(head="kind", weight=0.3, class_weights=(1, 2, 3, 4)), HeadLoss(head="colour")],
        [HeadLoss(head="colour", class_weights=(0.5, 2.0))],
    ],
    ids=["smoothed", "weighted", "one head"],
)
def test_every_loss_is_the_same(losses: Sequence[HeadLoss]) -> None:
    pair = learners(both(MIXED), Optimiser(kind="sgd", learning_rate=0.5), losses)
    images, labels = images_for(MIXED, 6), labels_for(MIXED, 6)
    labels["kind"][:2] = -1
    labels["colour"][2] = -1
    for _ in range(2):
        for learner in pair:
            learner.step(images, labels)
    same(pair[0].drain_losses(), pair[1].drain_losses())
    same_parameters(pair[0].network, pair[1].network)


def test_soft_labels_are_the_same() -> None:
    pair = learners(both(MIXED), Optimiser(kind="sgd", learning_rate=0.5))
    rng = generator(4, "soft")
    labels = {"kind": rng.dirichlet(np.ones(4), 6), "colour": rng.dirichlet(np.ones(2), 6)}
    for learner in pair:
        learner.step(images_for(MIXED, 6), labels)
    same(pair[0].drain_losses(), pair[1].drain_losses())
    same_parameters(pair[0].network, pair[1].network)


@pytest.mark.parametrize(
    "rates",
    [
        {"conv1": 0.0, "norm1": 0.0},
        {"conv1": 0.0},
        {"norm1": 0.0, "norm2": 0.0},
        {"": 0.0, "logits": 1.0},
        {"conv1": 0.1, "conv10.bias": 3.0},
    ],
    ids=["prefix", "conv alone", "norms", "top only", "slow and fast"],
)
def test_frozen_parts_and_rates_are_the_same(rates: Mapping[str, float]) -> None:
    networks = both(MIXED)
    pair = learners(networks, Optimiser(kind="adam", weight_decay=0.1), rates=rates)
    images, labels = images_for(MIXED, 6), labels_for(MIXED, 6)
    for _ in range(3):
        for learner in pair:
            learner.step(images, labels)
    same_parameters(pair[0].network, pair[1].network)
    if rates.get("norm1") == 0:
        for learner, network in zip(pair, networks, strict=True):
            after, before = learner.network.parameters(), network.parameters()
            for name in ("norm1.weight", "norm1.running_mean", "norm1.running_var"):
                np.testing.assert_array_equal(after[name], before[name])


def test_float32_networks_agree_to_four_digits() -> None:
    ours, theirs = both(MIXED, "float32")
    images = images_for(MIXED).astype(np.float32)
    for head, logits in theirs.logits(images).items():
        assert ours.logits(images)[head].dtype == np.float32
        same(ours.logits(images)[head], logits, relative=1e-4)


def test_every_layer_but_adopted_networks_is_in_the_battery(layer_case: Architecture) -> None:
    assert any(place.layer.name == "tested" for place in walk(layer_case))

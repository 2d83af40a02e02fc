"""Gradients with respect to the image: finite differences, and their pictures."""

from __future__ import annotations

import numpy as np
import pytest
from tests.explain.conftest import SMOOTH, Build

from convoscope.arrays import Array
from convoscope.explain.gradients import gradient, gradient_picture
from convoscope.explain.views import last_needed
from convoscope.network import Channel, ClassLogit, Engine, Network, Neuron, Target

TARGETS: list[Target] = [
    ClassLogit("class", (0, 1, 2)),
    Channel("conv1", 4),
    Neuron("conv1", (0, 5, 10), 3, 1),
]


def values(network: Network, images: Array) -> Array:
    """The targets' values, (T, N)."""
    each = np.arange(3)
    with network.trace(images, layers=["conv1"], wrt=()) as trace:
        maps, logits = trace.activations["conv1"], trace.logits["class"]
    neurons = maps[each, 1, [0, 5, 10], 3]
    return np.stack([logits[each, [0, 1, 2]], maps[:, 4].mean(axis=(1, 2)), neurons])


def test_gradients_are_finite_differences(build: Build, engine: Engine, images: Array) -> None:
    network = build(SMOOTH, engine)
    found = gradient(network, images, TARGETS)
    assert found.shape == (3, *images.shape)
    for place in ((0, 0, 0), (1, 6, 4), (2, 11, 3)):
        step = np.zeros_like(images)
        step[:, *place] = 1e-5
        rise = (values(network, images + step) - values(network, images - step)) / 2e-5
        np.testing.assert_allclose(found[:, :, *place], rise, rtol=1e-5, atol=1e-9)


def test_a_gradients_picture_is_its_positive_part_over_the_highest() -> None:
    gradient = np.array([[[-3.0, 1.0]], [[2.0, 0.5]], [[0.0, 4.0]]])
    picture = gradient_picture(gradient)
    assert picture.shape == (1, 2, 3)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[0, 128, 0], [64, 32, 255]]]


def test_neurons_alone_need_no_heads(build: Build, engine: Engine, images: Array) -> None:
    network = build(SMOOTH, engine)
    together = gradient(network, images, TARGETS)
    np.testing.assert_allclose(gradient(network, images, TARGETS[1:]), together[1:], rtol=1e-12)
    assert last_needed(network, TARGETS) is None
    assert last_needed(network, TARGETS[1:]) == "conv1"
    assert last_needed(network, []) is None


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_the_picture_of_nothing_positive_is_black(value: float) -> None:
    assert not gradient_picture(np.full((3, 4, 5), value)).any()

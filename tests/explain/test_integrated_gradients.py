"""Integrated gradients against Captum, and complete: the shares add up to the difference."""

from __future__ import annotations

import numpy as np
import torch
from captum.attr import IntegratedGradients
from tests.explain.conftest import CHAIN, SMOOTH, Build
from torch import nn

from convoscope.arrays import Array, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.explain import explain, look
from convoscope.explain.integrated_gradients import STEPS, integrated_gradients
from convoscope.explain.variants import target_values
from convoscope.network import Channel, ClassLogit, Engine, Neuron, Target


def test_captum_finds_the_same() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    ).double()
    images = generator(3, "images").random((2, 3, 8, 8))
    network = adopt(module, input_shape=(3, 8, 8), device="cpu", precision="float64")
    found = explain(network, images, "integrated-gradients", [ClassLogit("class", (2, 0))])[0]
    theirs = IntegratedGradients(module).attribute(
        torch.from_numpy(images), target=[2, 0], n_steps=STEPS, method="gausslegendre"
    )
    np.testing.assert_allclose(found, theirs.numpy(), rtol=1e-6, atol=1e-9)


def test_the_shares_add_up_to_what_the_image_adds_to_black(
    build: Build, engine: Engine, images: Array
) -> None:
    network = build(SMOOTH, engine)
    targets: list[Target] = [ClassLogit("class", (2, 0, 1)), Channel("conv1", 2)]
    shares = explain(network, images, "integrated-gradients", targets).sum(axis=(2, 3, 4))
    gained = target_values(network, images, targets)
    gained = gained - target_values(network, np.zeros_like(images), targets)
    np.testing.assert_allclose(shares, gained, rtol=1e-6)


def test_with_kinks_more_steps_come_closer(build: Build, images: Array) -> None:
    network, target = build(CHAIN), ClassLogit("class", 1)
    gained = target_values(network, images, [target])
    gained = gained - target_values(network, np.zeros_like(images), [target])
    errors = []
    for steps in (2, 2048):
        with look(network, images, wrt=()) as view:
            shares = integrated_gradients(view, [target], steps=steps).sum(axis=(2, 3, 4))
        errors.append(float(np.abs(shares - gained).max()))
    assert errors[1] < 2e-3 * float(np.abs(gained).max())
    assert errors[1] < errors[0] / 10


def test_a_neuron_is_a_target_too(build: Build, images: Array) -> None:
    found = explain(build(CHAIN), images, "integrated-gradients", [Neuron("conv2", 1, 2, 3)])
    assert found.shape == (1, *images.shape)
    assert np.isfinite(found).all()

"""Occlusion against its definition, done slowly, and against Captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from tests.explain.conftest import CHAIN, SHAPE, Build
from torch import nn

from convoscope.arrays import Array, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.explain import explain
from convoscope.explain.variants import class_logits, target_values
from convoscope.network import Channel, ClassLogit, Engine, Neuron, Target


def test_each_pixel_has_the_mean_fall_of_the_squares_that_cover_it(
    build: Build, engine: Engine, images: Array
) -> None:
    """13 x 12 pixels: squares of 2 x 2, one pixel apart."""
    network = build(CHAIN, engine)
    found = explain(network, images[:1], "occlusion", [ClassLogit("class", 1)])[0, 0]
    whole = network.logits(images[:1])["class"][0, 1]
    falls: dict[tuple[int, int], list[float]] = {}
    for top in range(12):
        for left in range(11):
            image = images[:1].copy()
            for channel in range(3):
                mean = images[0, channel].mean()
                image[0, channel, top : top + 2, left : left + 2] = mean
            fall = whole - network.logits(image)["class"][0, 1]
            for row in (top, top + 1):
                for column in (left, left + 1):
                    falls.setdefault((row, column), []).append(fall)
    expected = [[np.mean(falls[row, column]) for column in range(12)] for row in range(13)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_captum_finds_the_same_where_squares_are_cut_at_the_edge() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).double()
    image = generator(3, "image").random((1, 2, 30, 29))
    module(torch.from_numpy(image))
    network = adopt(module, input_shape=(2, 30, 29), device="cpu", precision="float64")
    found = explain(network, image, "occlusion", [ClassLogit("class", 2)])[0]
    mean = torch.from_numpy(image.mean(axis=(2, 3), keepdims=True)).expand(1, 2, 30, 29)
    theirs = Occlusion(module).attribute(
        torch.from_numpy(image), (2, 4, 4), strides=(2, 2, 2), target=2, baselines=mean
    )
    np.testing.assert_allclose(found[0], theirs.numpy()[0, 0], rtol=1e-6, atol=1e-8)


def test_values_are_what_gradients_start_from(build: Build, images: Array) -> None:
    """The derivative of a target's value, by finite differences, is the trace's gradient."""
    network = build(CHAIN)
    targets: list[Target] = [
        ClassLogit("class", (2, 0, 1)),
        ClassLogit("odd", 0),
        ClassLogit("odd", 1),
        Neuron("conv2", 1, 2, 3),
        Neuron("dense", 0, 0, 3),
        Channel("conv1", (1, 2, 3)),
        Channel("dense", 2),
    ]
    rng = generator(4, "direction")
    step = 1e-6 * rng.standard_normal(images.shape)
    with network.trace(images, layers=["conv1", "conv2", "dense"]) as trace:
        slopes = trace.gradient(targets)
    rise = target_values(network, images + step, targets)
    rise = rise - target_values(network, images - step, targets)
    np.testing.assert_allclose(rise, 2 * (slopes * step).sum(axis=(2, 3, 4)), rtol=1e-4, atol=1e-11)


def test_one_sigmoid_unit_has_two_logits() -> None:
    np.testing.assert_array_equal(class_logits(np.array([[2.0], [3.0]]), (0, 1)), [-2, 3])


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2)])
def test_the_smallest_images_are_covered_whole(size: tuple[int, int]) -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.LazyLinear(2))
    module(torch.zeros(1, 1, *size))
    network = adopt(module, input_shape=(1, *size), device="cpu")
    found = explain(
        network, np.ones((1, 1, *size), np.float32), "occlusion", [ClassLogit("class", 0)]
    )
    assert found.shape == (1, 1, *size)
    np.testing.assert_allclose(found, 0, atol=1e-6)  # its mean colour is the image's own
    assert SHAPE[1:] != size

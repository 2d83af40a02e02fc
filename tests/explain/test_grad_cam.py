"""Grad-CAM against the paper's equations, done slowly, and against Captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from tests.explain.conftest import BRANCHES, CHAIN, Build
from torch import Tensor, nn
from torch.nn import functional

from convoscope.arrays import Array, FloatArray
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.errors import ExplainError, SettingsError, ShapeError, UnknownNameError
from convoscope.explain.grad_cam import enlarge, grad_cam
from convoscope.network import Channel, ClassLogit, Engine, Neuron, Target


def slowly(maps: FloatArray, pulls: FloatArray) -> FloatArray:
    """Equations 1 and 2 for one image, a number at a time."""
    channels, height, width = maps.shape
    heat = np.zeros((height, width))
    for k in range(channels):
        alpha = sum(pulls[k, i, j] for i in range(height) for j in range(width)) / (height * width)
        for i in range(height):
            for j in range(width):
                heat[i, j] += alpha * maps[k, i, j]
    return np.where(heat > 0, heat, 0)


def test_it_is_the_papers_equations(build: Build, engine: Engine, images: Array) -> None:
    network = build(CHAIN, engine)
    targets: list[Target] = [ClassLogit("class", (2, 0, 1)), ClassLogit("odd", 0)]
    found = grad_cam(network, images, targets, ["conv1", "conv2"])
    with network.trace(images, layers=["conv1", "conv2"]) as trace:
        for layer, heat in found.items():
            maps = trace.activations[layer]
            assert heat.shape == (2, 3, *maps.shape[2:])
            assert heat.any()
            for t, pulls in enumerate(trace.gradient(targets, wrt=layer)):
                expected = np.stack([slowly(*pair) for pair in zip(maps, pulls, strict=True)])
                np.testing.assert_allclose(heat[t], expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("layer", ["stem", "join", "inner", "wide", "cat"])
def test_both_engines_agree_inside_branches(build: Build, images: Array, layer: str) -> None:
    targets: list[Target] = [ClassLogit("class", c) for c in range(4)]
    fast, slow = (
        grad_cam(build(BRANCHES, engine), images, targets, [layer])[layer]
        for engine in ("torch", "numpy")
    )
    assert fast.any()
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-14)


def test_a_neuron_or_channel_above_the_layer_is_a_target_too(build: Build, images: Array) -> None:
    targets: list[Target] = [Neuron("conv2", 1, 2, 3), Channel("conv2", 5)]
    heat = grad_cam(build(CHAIN), images, targets, ["conv1"])["conv1"]
    assert heat.shape == (2, 3, 13, 12)
    with pytest.raises(SettingsError, match="a target must lie downstream of wrt='conv2'"):
        grad_cam(build(CHAIN), images, [Channel("conv1", 1)], ["conv2"])


class Foreign(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.body = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 6, 3, stride=2)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.body(self.relu(self.stem(x))))
        logits: Tensor = self.fc(functional.dropout(x.mean((2, 3)), training=self.training))
        return logits


@pytest.mark.parametrize("layer", ["stem", "body"])
def test_it_is_captums_on_an_adopted_module(images: Array, layer: str) -> None:
    """Captum is given the layer's output before its ReLU works in place on it, as we are."""
    module = Foreign().double().eval()
    network = adopt(module, input_shape=images.shape[1:], device="cpu", precision="float64")
    (found,) = grad_cam(network, images, [ClassLogit("class", (0, 1, 2))], [layer])[layer]
    method = LayerGradCam(module, module.get_submodule(layer))
    module.relu.inplace = False
    expected = method.attribute(
        torch.from_numpy(images), target=torch.tensor([0, 1, 2]), relu_attributions=True
    )
    assert found.any()
    np.testing.assert_allclose(found, expected[:, 0].detach().numpy(), rtol=1e-9, atol=1e-15)


def test_the_target_layer_is_the_default(build: Build, engine: Engine, images: Array) -> None:
    assert list(grad_cam(build(CHAIN, engine), images, [ClassLogit("class", 0)])) == ["conv2"]


def test_what_is_asked_wrongly_is_one_sentence(build: Build, engine: Engine, images: Array) -> None:
    network = build(CHAIN, engine)
    asked: list[Target] = [ClassLogit("class", 1)]
    with pytest.raises(UnknownNameError, match="there is no layer 'conv': did you mean 'conv"):
        grad_cam(network, images, asked, ["conv"])
    with pytest.raises(ExplainError, match="layer 'mean': a layer of maps"):
        grad_cam(network, images, asked, ["mean"])
    with pytest.raises(SettingsError, match="classes must be from 0 to 3, got 4"):
        grad_cam(network, images, [ClassLogit("class", 4)])
    with pytest.raises(UnknownNameError, match="there is no head 'clas': did you mean 'class'"):
        grad_cam(network, images, [ClassLogit("clas", 0)])
    with pytest.raises(SettingsError, match="row must be from 0 to 5, got 6"):
        grad_cam(network, images, [Neuron("conv2", 6, 0, 0)], ["conv1"])
    with pytest.raises(ShapeError, match="resize them to the network's input"):
        grad_cam(network, images[:, :, 1:], asked)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 7), (5, 9)])
@pytest.mark.parametrize("size", [(14, 14), (9, 20)])
def test_enlarging_is_pytorchs_bilinear(shape: tuple[int, int], size: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).random((2, 3, *shape))
    expected = functional.interpolate(torch.from_numpy(maps), size=size, mode="bilinear")
    if min(s - c for s, c in zip(size, shape, strict=True)) >= 0:
        np.testing.assert_allclose(enlarge(maps, size), expected.numpy(), rtol=1e-12)


def test_enlarging_keeps_the_type_and_the_range() -> None:
    maps = np.random.default_rng(0).random((4, 7, 7), dtype="float32")
    large = enlarge(maps, (224, 224))
    assert large.dtype == np.float32
    assert large.shape == (4, 224, 224)
    assert maps.min() <= large.min() <= large.max() <= maps.max()

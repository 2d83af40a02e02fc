"""Gradients of single neurons, on crops, against the NumPy engine and autograd on whole maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.engines.torch.conftest import MakeNetwork
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from convoscope import engines
from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    MaxPool2d,
)
from convoscope.arrays import Array
from convoscope.engines.torch.network import TorchNetwork
from convoscope.engines.torch.way_back import packed
from convoscope.engines.torch.way_back.cropping import Cropping
from convoscope.network import Neuron, ReluRule

SIDES = (17, 14)

CHAINS: dict[str, tuple[AnyLayer, ...]] = {
    "vgg": (
        Conv2d("a", 4, padding=1, activation="relu"),
        Conv2d("b", 5, padding=1, activation="relu"),
        MaxPool2d("pool"),
        Conv2d("c", 6, padding=1, activation="relu"),
    ),
    "strides": (
        Conv2d("a", 4, kernel_size=5, stride=2, activation="relu"),
        MaxPool2d("pool", kernel_size=3, stride=2),
        Conv2d("c", 6, kernel_size=2, stride=2, activation="relu6"),
    ),
    "uneven same": (
        Conv2d("a", 4, kernel_size=4, padding="same", activation="relu"),
        MaxPool2d("pool", kernel_size=3, stride=2, padding="same"),
        Conv2d("c", 6, kernel_size=3, stride=2, padding="same", activation="relu"),
    ),
    "more padding than kernel": (
        Conv2d("a", 3, padding=4, activation="relu"),
        MaxPool2d("pool", kernel_size=3, stride=3, padding=1, ceil_mode=True),
        Conv2d("c", 4, padding=3, activation="relu"),
    ),
    "gaps and groups": (
        Conv2d("a", 4, padding=2, dilation=2, activation="relu"),
        Conv2d("c", 6, padding=3, dilation=3, groups=2, activation="relu"),
    ),
    "norms": (
        Conv2d("a", 4, bias=False),
        BatchNorm("norm"),
        Activation("relu"),
        Dropout("drop", 0.5),
        MaxPool2d("pool", kernel_size=2, stride=1),
        Conv2d("c", 6, padding=1),
    ),
    "what cannot be cropped below": (
        Conv2d("a", 4, padding=1, activation="tanh"),
        AvgPool2d("average"),
        Residual("join", (Conv2d("inner", 4, padding=1, activation="relu"),)),
        Parallel(
            "cat",
            (
                (Conv2d("left", 2, kernel_size=1),),
                (MaxPool2d("r", kernel_size=3, stride=1, padding=1),),
            ),
        ),
        Conv2d("b", 5, padding=1, activation="relu"),
        Conv2d("c", 4, activation="relu"),
    ),
}


@pytest.fixture(params=list(CHAINS.values()), ids=list(CHAINS))
def network(request: pytest.FixtureRequest, make_network: MakeNetwork) -> TorchNetwork:
    network = make_network(*request.param, input_shape=(3, *SIDES))
    rng = np.random.default_rng(3)
    values = {name: rng.normal(0.05, 0.6, a.shape) for name, a in network.parameters().items()}
    values |= {name: np.abs(a) + 0.1 for name, a in values.items() if name.endswith("var")}
    return network.with_parameters(values)


@pytest.mark.parametrize("rule", ["plain", "guided", "deconvnet"])
def test_a_neurons_gradient_is_what_whole_maps_give(
    network: TorchNetwork,
    make_images: Callable[..., Array],
    rule: ReluRule,
) -> None:
    images = make_images(2, (3, *SIDES))
    _, height, width = network.layer_shapes["c"]
    targets = [
        Neuron("c", row, column, (1, 3))
        for row in {0, height // 2, height - 1}
        for column in {0, width // 2, width - 1}
    ]
    with network.trace(images, layers=["a", "c"]) as trace:
        found = {wrt: trace.gradient(targets, wrt=wrt, relu_rule=rule) for wrt in ("images", "a")}
    assert found["images"].any()
    slow = engines.build(
        network.architecture, engine="numpy", parameters=network.parameters(), precision="float64"
    )
    with slow.trace(images, layers=["a", "c"]) as trace:
        for wrt, gradients in found.items():
            expected = trace.gradient(targets, wrt=wrt, relu_rule=rule)
            scale = np.abs(expected).max()
            np.testing.assert_allclose(gradients, expected, rtol=1e-9, atol=1e-12 * scale)


WIDE = (
    Conv2d("a", 256, padding=1, activation="relu"),
    Conv2d("b", 256, padding=1, activation="relu"),
    MaxPool2d("pool"),
    Conv2d("c", 256, padding="same", activation="relu"),
    Conv2d("d", 8, kernel_size=1, activation="relu"),
)


@pytest.mark.parametrize("rule", ["plain", "guided"])
def test_wide_layers_take_neurons_together_and_tile_by_tile(
    make_network: MakeNetwork, make_images: Callable[..., Array], rule: ReluRule
) -> None:
    shape = (3, 30, 26)  # of which tiles leave something over
    network = make_network(*WIDE, input_shape=shape, precision="float32")
    network = network.with_parameters({"d.bias": np.full(8, 10.0)})  # no neuron is silent
    images = make_images(2, shape)
    rows, columns = (0, 3, 7, 11, 14), (0, 4, 12)
    targets = [Neuron("d", row, column, (1, 5)) for row in rows for column in columns]
    with network.trace(images, layers=["c", "d"]) as trace:
        activations = trace.activations
        found = trace.gradient(targets, relu_rule=rule)
        alone = trace.gradient(targets[3:4], relu_rule=rule)
    tensors = dict(network.module.tensors())
    for layer in ("b", "c"):
        kept = packed._laid_out[tensors[f"{layer}.weight"]]
        assert kept.tiles is not None
        assert kept.tiles_back is not None
    slow = engines.build(
        network.architecture, parameters=network.parameters(), precision="float64", device="cpu"
    )
    with slow.trace(images, layers=["c", "d"]) as trace:
        for layer, values in trace.activations.items():
            scale = np.abs(values).max()
            np.testing.assert_allclose(activations[layer], values, rtol=0, atol=1e-5 * scale)
        expected = trace.gradient(targets, relu_rule=rule)
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(alone, found[3:4], rtol=0, atol=1e-5 * scale)


def test_a_silent_neuron_has_no_guided_gradient(
    make_network: MakeNetwork, make_images: Callable[..., Array]
) -> None:
    network = make_network(*CHAINS["vgg"], input_shape=(3, *SIDES)).with_parameters(
        {"c.bias": np.full(6, -100.0)}
    )
    with network.trace(make_images(1, (3, *SIDES)), layers=["c"]) as trace:
        assert not trace.activations["c"].any()
        assert not trace.gradient([Neuron("c", 3, 3, 2)], relu_rule="guided").any()


def test_only_what_reaches_the_neuron_is_computed(
    make_network: MakeNetwork, make_images: Callable[..., Array]
) -> None:
    """3x3 cells of c's filters, 8x8 of b's below the pooling, 10x10 of a's."""
    network = make_network(*CHAINS["vgg"], input_shape=(3, *SIDES))
    counter = FlopCounterMode(display=False)
    with network.trace(make_images(1, (3, *SIDES)), layers=["c"]) as trace, counter:
        trace.gradient([Neuron("c", 4, 3, 0)])
    macs = (1 * 6 * 5 + 36 * 5 * 4 + 64 * 4 * 3) * 9
    assert counter.get_total_flops() == 2 * macs


class Functional(nn.Module):
    """Somebody else's, with a skip connection, strides and a depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.b = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.c = nn.Conv2d(6, 4, 3, padding="same", padding_mode="reflect")
        self.d = nn.Conv2d(4, 4, (1, 3), padding=(0, 1), dilation=(1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.a(x))
        x = x + functional.relu(self.b(x))
        return functional.relu(self.d(self.c(x)))


def test_convolutions_of_any_module_compute_where_the_gradient_is() -> None:
    module = Functional().double()
    x = torch.rand(3, 3, 20, 20, dtype=torch.float64, requires_grad=True)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    with Cropping():
        y = module(x)
    seeds = torch.zeros_like(y)
    seeds[0, 1, 0, 0], seeds[2, 3, 9, 5] = 1, 2  # and nothing in image 1
    (found,) = torch.autograd.grad(y, x, seeds)
    (expected,) = torch.autograd.grad(module(x), x, seeds)
    assert found.any()
    torch.testing.assert_close(found, expected)

"""Patches of adopted modules, found by asking them, against the arithmetic of receptive fields."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.engines.torch.conftest import MakeNetwork
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    GlobalMaxPool,
    MaxPool2d,
    SeparableConv2d,
)
from convoscope.architecture.receptive_field import Box, patch
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.modules import in_turn
from convoscope.engines.torch.network import TorchNetwork
from convoscope.errors import SettingsError, UnknownNameError

SHAPE = (3, 19, 23)

TRUNKS: dict[str, tuple[AnyLayer, ...]] = {
    "vgg": (
        Conv2d("a", 4, padding=1, activation="relu"),
        MaxPool2d("pool1"),
        Conv2d("b", 5, padding=1, activation="relu"),
        MaxPool2d("pool2"),
        Conv2d("c", 6, padding=1, activation="relu6"),
    ),
    "strides and ends": (
        Conv2d("a", 4, kernel_size=5, stride=2, activation="relu"),
        MaxPool2d("pool", kernel_size=3, stride=2, ceil_mode=True),
        Conv2d("c", 6, kernel_size=2, stride=2),
    ),
    "uneven same": (
        Conv2d("a", 4, kernel_size=4, padding="same", activation="relu"),
        MaxPool2d("pool", kernel_size=3, stride=2, padding="same"),
        AvgPool2d("c", kernel_size=3, stride=2, padding=1),
    ),
    "gaps": (
        Conv2d("a", 4, padding=2, dilation=2, activation="relu"),
        SeparableConv2d("b", 6, kernel_size=3, padding=1),
        Conv2d("c", 6, padding=3, dilation=3, groups=2),
    ),
    "branches": (
        Conv2d("a", 4, stride=2, activation="relu"),
        Residual("join", (Conv2d("b", 4, padding=1), BatchNorm("norm"), Activation("relu"))),
        Parallel(
            "c",
            (
                (Conv2d("left", 2, kernel_size=1),),
                (
                    MaxPool2d("max", kernel_size=3, stride=1, padding=1),
                    Conv2d("right", 2, padding=1),
                ),
            ),
        ),
    ),
    "global": (Conv2d("a", 4, stride=2), GlobalMaxPool("c")),
}


class Foreign(nn.Module):
    """Layers as somebody else's module holds them."""

    def __init__(self, network: TorchNetwork) -> None:
        super().__init__()
        layers = network.architecture.layers
        self.layers = nn.ModuleDict({one.name: network.module.named[one.name] for one in layers})

    def forward(self, x: Tensor) -> Tensor:
        return in_turn(list(self.layers.values()), x)


def as_foreign(network: TorchNetwork) -> TorchNetwork:
    module = Foreign(network)
    return adopt(module, input_shape=SHAPE, heads=(), device="cpu", precision="float64")


@pytest.mark.parametrize("layers", list(TRUNKS.values()), ids=list(TRUNKS))
def test_what_is_found_is_what_arithmetic_says(
    make_network: MakeNetwork, layers: tuple[AnyLayer, ...]
) -> None:
    own = make_network(*layers, input_shape=SHAPE)
    adopted = as_foreign(own)
    for layer in [one.name for one in layers]:
        path, shape = f"layers.{layer}", own.layer_shapes[layer]
        assert adopted.layer_shapes[path] == shape
        height, width = shape[1:] or (1, 1)
        for row in {0, height // 2, height - 1}:
            for column in {0, 1 % width, width - 1}:
                expected = patch(own.architecture, layer, row, column)
                assert adopted.patch(path, row, column) == expected, (layer, row, column)


class Values(nn.Module):
    """What stops gradients only because of the values that happen to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding="same", padding_mode="reflect")
        self.last = nn.Identity()
        nn.init.zeros_(self.conv.weight)  # no filter is looked at

    def forward(self, x: Tensor) -> Tensor:
        x = functional.hardswish(self.conv(x) - 100)
        x = functional.relu(x, inplace=True)
        x = torch.clamp(x, 0, 6)
        x = x + functional.adaptive_max_pool2d(x[:, :, :, :4], 1)
        last: Tensor = self.last(x.max(dim=1, keepdim=True).values)
        return last.flatten(1)


def test_values_do_not_matter() -> None:
    """A cell sees its own 3x3 pixels and, through the pooling, columns 0 to 4."""
    network = adopt(Values(), input_shape=(1, 9, 9), device="cpu")
    assert network.patch("last", 4, 7) == Box(0, 0, 9, 9)
    assert network.patch("conv", 4, 7) == Box(3, 6, 6, 9)
    assert network.patch("last", 4, 0) == Box(0, 0, 9, 5)
    with torch.no_grad():
        assert network.patch("conv", 0, 0) == Box(0, 0, 2, 2)


class Nothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Identity()
        self.conv = nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.constant(torch.ones(len(x), 1, 4, 4)) + self.conv(x)
        return y.flatten(1)


def test_a_cell_that_no_pixel_reaches_has_an_empty_patch() -> None:
    network = adopt(Nothing(), input_shape=(1, 4, 4), device="cpu")
    assert network.patch("constant", 1, 1) == Box(0, 0, 0, 0)


@pytest.mark.parametrize("is_adopted", [False, True])
def test_a_cell_or_layer_that_is_not_there_is_named(
    make_network: MakeNetwork, is_adopted: bool
) -> None:
    network = make_network(*TRUNKS["vgg"], input_shape=SHAPE)
    layer, wrong = "c", "e"
    if is_adopted:
        network = adopt(
            Foreign(network), input_shape=SHAPE, heads=(), device="cpu", precision="float64"
        )
        layer, wrong = "layers.c", "layers.e"
    message = rf"layer '{layer}': column must lie in 0\.\.4 of this layer's maps, got 5"
    with pytest.raises(SettingsError, match=message):
        network.patch(layer, 3, 5)
    with pytest.raises(SettingsError, match=r"row must lie in 0\.\.3 of this layer's maps, got -1"):
        network.patch(layer, -1, 0)
    with pytest.raises(UnknownNameError, match=f"there is no layer '{wrong}'"):
        network.patch(wrong, 0, 0)


def test_asking_changes_nothing(make_network: MakeNetwork) -> None:
    network = make_network(*TRUNKS["branches"], input_shape=SHAPE)
    adopted = adopt(
        Foreign(network), input_shape=SHAPE, heads=(), device="cpu", precision="float64"
    )
    before = {name: array.tobytes() for name, array in adopted.parameters().items()}
    state: Callable[[], bytes] = lambda: torch.get_rng_state().numpy().tobytes()  # noqa: E731
    random = state()
    adopted.patch("layers.c", 1, 1)
    assert state() == random
    assert all(not inner._forward_hooks for inner in adopted.module.modules())
    assert {name: array.tobytes() for name, array in adopted.parameters().items()} == before

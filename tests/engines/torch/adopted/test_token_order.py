"""Tokens whose order nobody declares: which are read as maps, and that they are read right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convoscope.arrays import Array, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.adopted.layout import Inside
from convoscope.engines.torch.adopted.token_order import readings
from convoscope.engines.torch.network import TorchNetwork

NESTED = [
    8 * (2 * Y + y) + 2 * X + x for y in (0, 1) for x in (0, 1) for Y in range(4) for X in range(4)
]


class Reordered(nn.Module):
    """Tokens (N, T, C), put in another order."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.order]


class Evened(nn.Module):
    """Even attention: every token becomes the mean of all."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1, keepdim=True).expand_as(x).contiguous()


class Tokens(nn.Module):
    """8 x 8 patches as tokens after ``prefix`` others, in an order, through two small blocks."""

    def __init__(self, *, order: list[int] | None = None, prefix: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.reorder = Reordered(order or list(range(64)))
        self.prefix = nn.Parameter(torch.randn(1, prefix, 12))
        self.even, self.silent = Evened(), nn.LayerNorm(12)
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Linear(12, 12), nn.GELU()) for _ in "12"))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 3)
        nn.init.zeros_(self.silent.weight)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.reorder(self.patches(x).flatten(2).transpose(1, 2))
        tokens = torch.cat([self.prefix.expand(len(x), -1, -1), tokens], dim=1)
        tokens = tokens + 0.1 * self.even(tokens) + self.silent(tokens)
        logits: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return logits


def adopted(module: nn.Module, height: int = 32, width: int = 32) -> TorchNetwork:
    return adopt(module, input_shape=(3, height, width), device="cpu")


def noise(height: int = 32, width: int = 32) -> Array:
    return generator(0, "noise").random((1, 3, height, width), dtype="float32")


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_in_reading_order_are_read_as_maps(prefix: int) -> None:
    module = Tokens(prefix=prefix)
    network = adopted(module)
    for layer in ("blocks.0.0", "blocks", "norm"):
        assert network.layer_shapes[layer] == (12, 8, 8), layer
    with network.trace(noise(), layers=["norm"]) as trace:
        maps = trace.activations["norm"]
    values: list[Tensor] = []
    handle = module.norm.register_forward_hook(lambda m, i, o: values.append(o))
    module(torch.from_numpy(noise()))
    handle.remove()
    there = values[0].detach()[0, prefix:].T.reshape(1, 12, 8, 8).numpy()
    np.testing.assert_allclose(maps, there, rtol=1e-4, atol=1e-6)


def test_tokens_of_images_that_are_no_squares_are_read_in_their_proportions() -> None:
    network = adopted(Tokens(order=list(range(96))), 48, 32)
    assert network.layer_shapes["norm"] == (12, 12, 8)


@pytest.mark.parametrize("order", [NESTED, [8 * x + y for y in range(8) for x in range(8)]])
def test_tokens_in_another_order_are_left_unread(order: list[int]) -> None:
    """As many tokens as a square has are no proof: hiera's lie in nested squares."""
    network = adopted(Tokens(order=order))
    assert sorted(order) == list(range(64))
    for layer in ("reorder", "blocks", "norm"):
        assert network.layer_shapes[layer] == (12 * 64,), layer
    assert network.layer_shapes["patches"] == (12, 8, 8)


def test_tokens_that_show_no_order_lie_as_the_others_do() -> None:
    """A branch that starts at zero, and the mean of all: only the others say how they lie."""
    rows, nested = adopted(Tokens()).layer_shapes, adopted(Tokens(order=NESTED)).layer_shapes
    for layer in ("even", "silent"):
        assert (rows[layer], nested[layer]) == ((12, 8, 8), (12 * 64,)), layer


def test_a_network_whose_weights_are_all_zero_shows_no_order() -> None:
    module = Tokens()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    assert adopted(module).layer_shapes["norm"] == (12 * 64,)


@pytest.mark.parametrize(
    ("output", "image", "shapes"),
    [
        ((1, 49, 5), (224, 224), {(5, 7, 7)}),
        ((1, 50, 5), (224, 224), {(5, 7, 7)}),
        ((1, 48, 5), (224, 224), set()),
        ((1, 96, 5), (48, 32), {(5, 12, 8)}),
        ((1, 3, 5), (224, 224), set()),
        ((2, 49, 5), (224, 224), set()),
        ((1, 49), (224, 224), set()),
    ],
)
def test_tokens_can_be_read_as_maps_of_the_images_proportions(
    output: tuple[int, ...], image: tuple[int, ...], shapes: set[tuple[int, ...]]
) -> None:
    found = list(readings(output, image))
    assert {how.shape for how in found} == shapes
    assert all(how == Inside("tokens", how.shape) for how in found)

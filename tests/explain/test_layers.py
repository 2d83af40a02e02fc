"""Which layers give maps, and which one Grad-CAM looks at."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from tests.explain.conftest import BRANCHES, CHAIN, Build
from torch import Tensor, nn
from torch.nn import functional

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import AvgPool2d, Conv2d, Dense, Dropout, Flatten, GlobalAvgPool
from convoscope.architecture.zoo import make
from convoscope.arrays import generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.tracing import TorchTrace
from convoscope.errors import ExplainError, UnknownNameError
from convoscope.explain.layers import answering_layers, map_layers, map_shape, target_layer
from convoscope.network import Engine

NOISE = generator(0, "noise").random((2, 3, 12, 16), dtype="float32")


def test_answering_layers_are_those_of_maps_and_own_vectors_that_are_no_copies(
    build: Build, engine: Engine
) -> None:
    network = build(CHAIN, engine)
    vectors = [n for n, shape in network.layer_shapes.items() if len(shape) == 1]
    assert answering_layers(network) == (
        "conv1",
        "pool1",
        "conv2",
        "pool2",
        "dense",
        "logits",
        "mean",
        "odd1",
    )
    assert "flat" in vectors


def test_map_layers_are_those_of_maps_in_computing_order(build: Build, engine: Engine) -> None:
    assert map_layers(build(CHAIN, engine)) == ("conv1", "pool1", "conv2", "pool2")
    assert map_layers(build(BRANCHES, engine)) == (
        "stem", "norm", "relu", "inner", "join", "narrow", "wide", "cat", "last"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("architecture-1", "conv2"),
        ("architecture-3", "conv4"),
        ("lenet-5", "conv2"),
        ("given-net", "norm1"),
        ("small", "relu5"),
    ],
)
def test_the_target_layer_is_the_last_before_pooling(
    name: str, layer: str, build: Build, engine: Engine
) -> None:
    assert target_layer(build(make(name), engine)) == layer


def test_vgg19_is_looked_at_before_its_last_pooling() -> None:
    architecture = make("vgg19", input_shape=(3, 32, 32), classes=2)
    small_head = Head(layers=(GlobalAvgPool("mean"), Dense("logits", 2)))
    network = engines.build(dataclasses.replace(architecture, heads=(small_head,)), device="cpu")
    assert target_layer(network) == "block5_conv4"


def test_maps_of_a_head_count_only_where_the_trunk_has_none(build: Build) -> None:
    head = Head(layers=(Conv2d("inside", 4), Dropout("drop"), GlobalAvgPool("mean")))
    trunk = (Conv2d("own", 3), AvgPool2d("pool"))
    both = Architecture(name="both", input_shape=(3, 12, 12), layers=trunk, heads=(head,))
    assert target_layer(build(both)) == "own"
    assert target_layer(build(dataclasses.replace(both, layers=()))) == "inside"


def test_a_network_without_maps_says_so(build: Build, engine: Engine) -> None:
    layers = (Flatten("flat"), Dense("logits", 2))
    dense = Architecture(
        name="dense", input_shape=(3, 4, 4), layers=layers, heads=(Head(layers=()),)
    )
    with pytest.raises(ExplainError) as caught:
        target_layer(build(dense, engine))
    assert str(caught.value) == (
        "network 'dense': an explanation on maps needs a layer that gives maps of more than one "
        "cell, and none does: ask for gradients instead"
    )


def test_a_layer_that_is_no_map_or_is_not_there_is_one_sentence(
    build: Build, engine: Engine
) -> None:
    network = build(CHAIN, engine)
    assert map_shape(network, "conv2") == (8, 6, 6)
    with pytest.raises(UnknownNameError, match="there is no layer 'conv3': did you mean 'conv"):
        map_shape(network, "conv3")
    with pytest.raises(ExplainError) as caught:
        map_shape(network, "dense")
    assert str(caught.value) == (
        "layer 'dense': a layer of maps (C, h, w) is asked for, this one gives a vector of 7 "
        "values: name one that does, such as 'pool2'"
    )


class Foreign(nn.Module):
    """A trunk in somebody else's style, and how it ends."""

    def __init__(self, tail: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), tail
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x).mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    ("tail", "layer"),
    [
        (nn.MaxPool2d(2), "features.3"),
        (nn.AdaptiveAvgPool2d(1), "features.3"),
        (nn.Conv2d(4, 4, 3, stride=2, padding=1), "features.3"),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1), "features"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, stride=2), nn.ReLU()), "features"),
        (nn.Identity(), "features"),
    ],
)
def test_a_pooling_inside_an_adopted_module_is_known_by_what_it_does(
    tail: nn.Module, layer: str
) -> None:
    """One that a strided convolution looks like costs nothing: the map before it is as good."""
    module = Foreign(tail)
    module.head = nn.Linear(8 if getattr(tail, "out_channels", 4) == 8 else 4, 3)
    assert target_layer(adopt(module, input_shape=(3, 16, 20), device="cpu")) == layer


class Attention(nn.Module):
    """One head, without projections."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x)


class Transformer(nn.Module):
    """Two blocks on a class token and 3 x 4 patches; answers from the token, or from the mean."""

    def __init__(self, *, pools: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch_embed = nn.Conv2d(3, 8, 4, stride=4)
        self.patch_embed.grid_size = (3, 4)  # type: ignore[assignment]
        self.num_prefix_tokens = 1
        self.pools = pools
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm1 = nn.ModuleList([nn.LayerNorm(8), nn.LayerNorm(8)])
        self.attention = nn.ModuleList([Attention(), Attention()])
        self.mlp = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1)
        for norm, attention, mlp in zip(self.norm1, self.attention, self.mlp, strict=True):
            x = x + attention(norm(x))
            x = x + mlp(x)
        logits: Tensor = self.head(x[:, 0] if self.pools == "token" else x[:, 1:].mean(1))
        return logits


@pytest.mark.parametrize(("pools", "layer"), [("token", "norm1.1"), ("mean", "mlp.1")])
def test_a_transformer_is_looked_at_where_its_patches_count(pools: str, layer: str) -> None:
    network = adopt(Transformer(pools=pools), input_shape=(3, 12, 16), device="cpu")
    assert network.layer_shapes["norm1.1"] == (8, 3, 4)
    assert target_layer(network) == layer


def test_an_adopted_trunk_without_heads_has_a_target_layer() -> None:
    network = adopt(
        Transformer(pools="token"), input_shape=(3, 12, 16), cut="mlp.1", heads=(), device="cpu"
    )
    assert target_layer(network) == "mlp.1"


class Split(nn.Module):
    """Attention of a class token to 4 x 4 patches, whose queries, keys and values are layers."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.keys = nn.Linear(8, 8), nn.Linear(8, 8)
        self.values = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(
            self.queries(x), self.keys(x), self.values(x)
        )


def test_the_values_of_an_attention_are_but_a_part_of_what_counts() -> None:
    """They are the last that a class token depends on, and the norm before them is all of it."""
    module = Transformer(pools="token")
    module.attention = nn.ModuleList([Split(), Split()])
    network = adopt(module, input_shape=(3, 12, 16), device="cpu")
    assert network.layer_shapes["attention.1.values"] == (8, 3, 4)
    assert target_layer(network) == "norm1.1"


class Pooled(nn.Module):
    """A transformer, and a head whose weights are zero on what is pooled, a layer of its own."""

    def __init__(self, *, pools: str) -> None:
        super().__init__()
        self.inside = Transformer(pools=pools)
        self.patch_embed, self.num_prefix_tokens = self.inside.patch_embed, 1
        self.inside.head, self.head = nn.Linear(8, 6), nn.Linear(6, 3)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.inside(x))
        return logits


@pytest.mark.parametrize(("pools", "layer"), [("token", "norm1.1"), ("mean", "mlp.1")])
def test_under_a_head_of_zeros_what_it_is_given_answers(pools: str, layer: str) -> None:
    network = adopt(Pooled(pools=pools), input_shape=(3, 12, 16), device="cpu")
    first, second = network.logits(NOISE)["class"]
    assert (first == second).all()
    assert target_layer(network) == f"inside.{layer}"


def test_a_head_of_zeros_costs_a_few_ways_back(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Transformer(pools="mean")
    nn.init.zeros_(module.head.weight)
    network = adopt(module, input_shape=(3, 12, 16), device="cpu")
    ways_back: list[str] = []
    whole = TorchTrace.gradient

    def counted(self: TorchTrace, targets: Any, *, wrt: str = "images", **more: Any) -> Any:
        ways_back.append(wrt)
        return whole(self, targets, wrt=wrt, **more)

    monkeypatch.setattr(TorchTrace, "gradient", counted)
    assert target_layer(network) == "mlp.1"
    assert 1 <= len(ways_back) <= 8


class Nested(nn.Module):
    """A stem, and blocks on its patches in an order in which none has its place."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8)) for _ in range(blocks)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)[:, torch.randperm(16)]
        for block in self.blocks:
            x = x + block(x)
        logits: Tensor = self.head(x.mean(1))
        return logits


def test_a_stem_is_no_target_layer_where_nothing_later_lies_in_the_image() -> None:
    network = adopt(Nested(blocks=8), input_shape=(3, 16, 16), device="cpu")
    with pytest.raises(ExplainError) as caught:
        target_layer(network)
    assert str(caught.value) == (
        "network 'torch': the layer that is looked at must lie near the end, and after 'stem', the "
        "last whose values have a place in the image, come 26 layers that give none: name one of "
        "'stem' if that will do, or ask for gradients instead"
    )
    assert target_layer(adopt(Nested(blocks=2), input_shape=(3, 16, 16), device="cpu")) == "stem"

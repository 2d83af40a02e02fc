"""Modules of timm's in two: the halves compute what the whole does, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Flatten
from convoscope.arrays import generator
from convoscope.engines.torch.adopted.remainder import last_place, split
from convoscope.engines.torch.adopted.timm_models import published

FLAT = (Head(layers=(Flatten("flat"),)),)


@pytest.mark.parametrize(
    ("name", "learning", "place"),
    [
        ("test_resnet", "layer4.", "layer3"),
        ("test_resnet", "layer4.0.bn2.", "layer3"),
        ("test_resnet", "layer2.", "layer1"),
        ("vit_tiny_patch16_224", "blocks.11.", "blocks.10"),
        ("test_convnext", "stages.3.", "stages.2"),
        ("test_efficientnet", "conv_head.", "blocks"),
    ],
)
def test_the_halves_compute_the_whole(name: str, learning: str, place: str) -> None:
    told = published(name)
    plan = engines.blueprint(told.source, (3, 64, 64), cut=told.features)
    inside = {key.partition(".")[2] for key in plan.shapes}
    names = frozenset(key for key in inside if key.startswith(learning) and "running" not in key)
    halves = split(told.source, (3, 64, 64), told.features, names)
    assert halves is not None
    assert halves.front.cut == place
    assert not names & set(halves.front_names)
    assert {*halves.front_names, *halves.rest_names} == inside
    assert halves.front.parameters + halves.rest.parameters == plan.architecture.layers[
        0
    ].parameter_count((3, 64, 64))
    whole = engines.build(replace(plan.architecture, heads=FLAT))
    parameters = whole.parameters()
    front, rest = (
        engines.build(
            Architecture(name="half", input_shape=shape, layers=(layer,), heads=FLAT),
            parameters={f"trunk.{key}": parameters[f"trunk.{key}"] for key in keys},
        )
        for layer, keys, shape in (
            (halves.front, halves.front_names, (3, 64, 64)),
            (halves.rest, halves.rest_names, halves.front.maps),
        )
    )
    images = generator(0, name).random((2, 3, 64, 64), dtype=np.float32)
    maps = front.logits(images)["class"].reshape(2, *halves.front.maps)
    np.testing.assert_array_equal(rest.logits(maps)["class"], whole.logits(images)["class"])


def test_a_transformer_that_looks_at_the_size_of_each_image_is_not_divided() -> None:
    source = published("test_vit").source
    assert split(source, (3, 64, 64), "norm", frozenset(["blocks.5.mlp.fc2.weight"])) is None


def test_there_is_no_place_before_the_first_layer() -> None:
    source = published("test_resnet").source
    first = next(iter(engines.blueprint(source, (3, 64, 64), cut="layer4").shapes))
    assert split(source, (3, 64, 64), "layer4", frozenset([first.partition(".")[2]])) is None


class Branching(nn.Module):
    """Computes something else where a sum is large, which its code alone does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        found: Tensor = self.second(x) if bool(x.sum() > 0) else x
        return found


class Moody(nn.Module):
    """Computes something else while it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        found: Tensor = self.second(x) if self.training else self.second(x) + 1
        return found


class Sharing(nn.Module):
    """Reads the first layer's output twice, across the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        found: Tensor = self.third(x + self.second(x))
        return found


@pytest.mark.parametrize(
    ("module", "place"), [(Branching(), None), (Moody(), None), (Sharing(), "first")]
)
def test_code_that_cannot_be_read_is_not_divided(module: nn.Module, place: str | None) -> None:
    last = "third.weight" if isinstance(module, Sharing) else "second.weight"
    assert last_place(module.eval(), (3, 16, 16), "", frozenset([last])) == place
    assert not module.training


def test_what_is_read_again_later_is_no_place() -> None:
    learning = frozenset(["second.weight"])
    assert last_place(Sharing().eval(), (3, 16, 16), "", learning) == "first"
    with torch.no_grad():
        assert Sharing()(torch.zeros(1, 3, 16, 16)).shape == (1, 2, 12, 12)

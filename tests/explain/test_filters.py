"""Filters as numbers, in the image's channel order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.explain.conftest import BRANCHES, CHAIN, Build
from torch import Tensor, nn

from convoscope import engines
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import Conv2d, SeparableConv2d
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.errors import ExplainError, UnknownNameError
from convoscope.explain.filters import convolutions, filters
from convoscope.network import Engine


def test_filters_are_the_weights(build: Build, engine: Engine) -> None:
    network = build(CHAIN, engine)
    assert list(convolutions(network)) == ["conv1", "conv2"]
    np.testing.assert_array_equal(filters(network, "conv2"), network.parameters()["conv2.weight"])
    assert filters(network, "conv1").shape == (6, 3, 3, 3)
    assert "inner" in convolutions(build(BRANCHES, engine))


def test_first_filters_are_in_the_images_channel_order(engine: Engine) -> None:
    layers = (Conv2d("conv1", 4), Conv2d("conv2", 3))
    architecture = Architecture(name="bgr", input_shape=(3, 9, 9), layers=layers)
    preprocessing = Preprocessing(size=(9, 9), order="bgr")
    network = engines.build(architecture, engine=engine, preprocessing=preprocessing, device="cpu")
    weights = network.parameters()
    np.testing.assert_array_equal(filters(network, "conv1"), weights["conv1.weight"][:, ::-1])
    np.testing.assert_array_equal(filters(network, "conv2"), weights["conv2.weight"])


def test_a_depthwise_convolutions_filters_read_one_channel_each(
    build: Build, engine: Engine
) -> None:
    layers = (SeparableConv2d("apart", 5, kernel_size=3),)
    network = build(Architecture(name="apart", input_shape=(4, 9, 9), layers=layers), engine)
    assert filters(network, "apart").shape == (4, 1, 3, 3)


class Foreign(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 5)
        self.fc = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.stem(x).mean((2, 3)))
        return logits


def test_filters_of_an_adopted_module_are_found_by_path() -> None:
    module = Foreign()
    network = adopt(module, input_shape=(3, 8, 8), device="cpu")
    np.testing.assert_array_equal(filters(network, "stem"), module.stem.weight.detach().numpy())
    with pytest.raises(ExplainError, match="layer 'fc': filters belong to convolutions, and this"):
        filters(network, "fc")


def test_a_layer_without_filters_says_so(build: Build, engine: Engine) -> None:
    network = build(CHAIN, engine)
    with pytest.raises(ExplainError) as caught:
        filters(network, "pool1")
    assert str(caught.value) == (
        "layer 'pool1': filters belong to convolutions, and this is none: name one, such as "
        "conv1, conv2"
    )
    with pytest.raises(UnknownNameError, match="there is no layer 'conv': did you mean"):
        filters(network, "conv")
    bare = build(dataclasses.replace(CHAIN, layers=(), heads=CHAIN.heads[1:]), engine)
    with pytest.raises(ExplainError, match="name one, such as none"):
        filters(bare, "mean")

"""Small networks in float64 and images for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import pytest
import torch

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2d,
)
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array
from convoscope.engines.torch.network import TorchNetwork, build
from convoscope.network import Precision


class MakeNetwork(Protocol):
    """Builds layers as a trunk, with heads on it."""

    def __call__(
        self,
        *layers: AnyLayer,
        heads: tuple[Head, ...] = (),
        input_shape: Shape = (2, 7, 6),
        precision: Precision = "float64",
        seed: int = 0,
    ) -> TorchNetwork: ...


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_network() -> MakeNetwork:
    def make(
        *layers: AnyLayer,
        heads: tuple[Head, ...] = (),
        input_shape: Shape = (2, 7, 6),
        precision: Precision = "float64",
        seed: int = 0,
    ) -> TorchNetwork:
        return build(
            Architecture(name="test", input_shape=input_shape, layers=layers, heads=heads),
            preprocessing=None,
            seed=seed,
            parameters=None,
            device="cpu",
            precision=precision,
        )

    return make


@pytest.fixture(scope="session")
def make_images() -> Callable[..., Array]:
    """``make_images(count, shape)``: floats in [0, 1], the same every time."""

    def make(count: int, shape: Shape, seed: int = 0) -> Array:
        return np.random.default_rng(seed).random((count, *shape))

    return make


@pytest.fixture(scope="session")
def small_net() -> Architecture:
    """Every kind of layer that learning treats in its own way, with two heads."""
    return Architecture(
        name="small",
        input_shape=(3, 8, 8),
        layers=(
            Conv2d("conv1", 6, padding=1, activation="relu"),
            BatchNorm("norm1"),
            MaxPool2d("pool1"),
            Conv2d("conv2", 8, padding="same", bias=False),
            BatchNorm("norm2"),
            AvgPool2d("pool2"),
            Dropout("drop", 0.3),
        ),
        heads=(
            Head(
                name="class",
                layers=(
                    Flatten("flat"),
                    Dense("dense", 5, activation="relu"),
                    Dropout("drop2", 0.5),
                    Dense("logits", 4),
                ),
            ),
            Head(name="odd", layers=(GlobalAvgPool("mean"), Dense("odd1", 1)), output="sigmoid"),
        ),
    )

"""Small networks on both engines, and images for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import pytest
import torch

from convoscope import engines
from convoscope.architecture.branches import Parallel, Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
    MaxPool2d,
)
from convoscope.arrays import Array, generator
from convoscope.network import Engine, Network

SHAPE = (3, 13, 12)

CHAIN = Architecture(
    name="chain",
    input_shape=SHAPE,
    layers=(
        Conv2d("conv1", 6, padding=1, activation="relu"),
        MaxPool2d("pool1"),
        Conv2d("conv2", 8, padding=1, activation="relu"),
        MaxPool2d("pool2"),
    ),
    heads=(
        Head(layers=(Flatten("flat"), Dense("dense", 7, activation="relu"), Dense("logits", 4))),
        Head(name="odd", layers=(GlobalAvgPool("mean"), Dense("odd1", 1)), output="sigmoid"),
    ),
)
BRANCHES = Architecture(
    name="branches",
    input_shape=SHAPE,
    layers=(
        Conv2d("stem", 6, stride=2, padding=1, activation="relu"),
        Residual("join", (BatchNorm("norm"), Activation("relu"), Conv2d("inner", 6, padding=1))),
        Parallel(
            "cat",
            ((Conv2d("narrow", 3, kernel_size=1),), (Conv2d("wide", 5, padding=2, dilation=2),)),
        ),
        Activation("last", "relu6"),
    ),
    heads=(Head(layers=(GlobalAvgPool("mean"), Dense("logits", 4))),),
)
SMOOTH = Architecture(
    name="smooth",
    input_shape=SHAPE,
    layers=(Conv2d("conv1", 6, activation="tanh"),),
    heads=(Head(layers=(GlobalAvgPool("mean"), Dense("logits", 4))),),
)


class Build(Protocol):
    """Builds an architecture in float64, its parameters drawn so that about half fires."""

    def __call__(self, architecture: Architecture, engine: Engine = "torch") -> Network: ...


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def build() -> Build:
    def make(architecture: Architecture, engine: Engine = "torch") -> Network:
        network = engines.build(
            architecture, engine=engine, seed=5, device="cpu", precision="float64"
        )
        rng = generator(2, architecture.name)
        values = {n: rng.normal(0.02, 0.5, a.shape) for n, a in network.parameters().items()}
        values |= {n: np.abs(a) + 0.5 for n, a in values.items() if n.endswith("running_var")}
        return network.with_parameters(values)

    return make


@pytest.fixture(params=["torch", "numpy"])
def engine(request: pytest.FixtureRequest) -> Engine:
    name: Engine = request.param
    return name


@pytest.fixture(scope="session")
def images() -> Array:
    return generator(1, "images").random((3, *SHAPE))


@pytest.fixture(scope="session")
def make_images() -> Callable[..., Array]:
    def make(count: int, *shape: int) -> Array:
        return generator(1, "images").random((count, *shape))

    return make

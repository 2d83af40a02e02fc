"""Small networks, images for them, and learners that are taught the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import pytest
import torch

from convoscope import engines
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
from convoscope.engines.torch.learner import TorchLearner, learner
from convoscope.engines.torch.network import TorchNetwork, build
from convoscope.network import HeadLoss, Optimiser, Precision


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


LOSSES = (HeadLoss(head="class"), HeadLoss(head="odd", weight=0.5))
OPTIMISERS = [
    Optimiser(kind="sgd", learning_rate=0.1),
    Optimiser(kind="sgd", learning_rate=0.05, momentum=0.9, weight_decay=0.1),
    Optimiser(kind="sgd", learning_rate=0.05, momentum=0.9, nesterov=True),
    Optimiser(kind="adam", learning_rate=0.01, weight_decay=0.1, beta1=0.8, eps=1e-6),
    Optimiser(kind="adamw", learning_rate=0.01, weight_decay=0.1, beta2=0.99),
]


def described(optimiser: Optimiser) -> str:
    return f"{optimiser.kind}-{optimiser.momentum}-{optimiser.nesterov}"


def make_batch(step: int, images: int = 6) -> tuple[Array, dict[str, Array]]:
    rng = np.random.default_rng(step)
    pixels = rng.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8).transpose(0, 3, 1, 2)
    labels = {"class": rng.integers(0, 4, images), "odd": rng.integers(0, 2, images)}
    return pixels, labels


def make_learner(
    architecture: Architecture,
    optimiser: Optimiser | None = None,
    *,
    losses: Sequence[HeadLoss] = LOSSES,
    rates: Mapping[str, float] | None = None,
    seed: int = 7,
    precision: Precision = "float64",
) -> TorchLearner:
    network = engines.build(architecture, seed=3, device="cpu", precision=precision)
    return learner(
        network,
        optimiser=optimiser or Optimiser(),
        losses=losses,
        rates=rates or {},
        seed=seed,
    )


def teach(student: TorchLearner, steps: range) -> None:
    for step in steps:
        student.step(*make_batch(step), rate=1 / (1 + step))


def same_bytes(a: Mapping[str, Array], b: Mapping[str, Array]) -> bool:
    return a.keys() == b.keys() and all(
        a[key].dtype == b[key].dtype and a[key].tobytes() == b[key].tobytes() for key in a
    )

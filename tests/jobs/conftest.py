"""Pretrained networks small enough to be used in a test, in a store of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d
from convoscope.arrays import Array, generator
from convoscope.data.preprocessing import Preprocessing
from convoscope.transfer.catalogue import backbone
from convoscope.transfer.store import Provenance, Stored, keep

Install: TypeAlias = Callable[..., Stored]

SMALL = Architecture(
    name="vgg19",
    input_shape=(3, 16, 16),
    layers=(
        Conv2d("conv1", 6, padding=1, activation="relu"),
        BatchNorm("norm1"),
        MaxPool2d("pool1"),
        Conv2d("conv2", 8, padding=1, activation="relu"),
        MaxPool2d("pool2"),
    ),
    heads=(
        Head(
            layers=(
                Flatten("flatten"),
                Dense("fc1", 12, activation="relu"),
                Dense("predictions", 10),
            )
        ),
    ),
)
ADOPTED = "timm:test_resnet"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install()`` puts random weights of :data:`SMALL` into a store as those of ``vgg19``,
    ``install(seed=1)`` others, ``install(architecture=...)`` those of another network of ours;
    ``install(name=ADOPTED)`` those of a network of timm's.
    """
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path / "cache"))

    def put(name: str = "vgg19", seed: int = 0, architecture: Architecture = SMALL) -> Stored:
        chosen = backbone(name)
        if chosen.is_ours:
            shapes = engines.build(architecture, engine="numpy").parameters()
            sizes = {key: array.shape for key, array in shapes.items()}
        else:
            plan = engines.blueprint(chosen.source, (3, 64, 64), cut="")
            architecture, sizes = plan.architecture, dict(plan.shapes)
        _, height, width = architecture.input_shape
        stored = Stored(
            name=chosen.name,
            source=chosen.source,
            input_shape=architecture.input_shape,
            preprocessing=Preprocessing(
                size=(height, width), order="bgr", mean=(0.4, 0.5, 0.6), sd=(0.2, 0.2, 0.2)
            ),
            classes=10 if chosen.is_ours else chosen.classes,
            parameters=1,
            licence="MIT",
            origin=Provenance(place="weights.npz", format="npz", sha256="0" * 64),
        )
        arrays = {key: _values(seed, key, shape) for key, shape in sizes.items()}
        return keep(stored, architecture, arrays)

    return put


def _values(seed: int, name: str, shape: tuple[int, ...]) -> Array:
    rng = generator(seed, name)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith(("running_var", "norm1.weight")):
        return rng.uniform(0.5, 2, shape).astype(np.float32)
    return rng.normal(0, 0.3, shape).astype(np.float32)

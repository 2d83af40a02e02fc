"""Weights of small networks in files, and a store of their own for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from safetensors.numpy import save_file

from convoscope.arrays import Array, generator
from convoscope.engines.published import Blueprint
from convoscope.transfer.catalogue import Backbone, backbone

TINY = "timm:test_resnet"

WriteWeights: TypeAlias = Callable[..., Path]


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, below a cache that no other test sees; the folder of the weights."""
    monkeypatch.setenv("CONVOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture(scope="session")
def tiny() -> Backbone:
    """A residual network of timm's with 470,000 parameters, made for tests."""
    return backbone(TINY)


@pytest.fixture(scope="session")
def tiny_arrays(tiny: Backbone) -> dict[str, Array]:
    """Random weights for it, under timm's names."""
    from convoscope import engines

    plan: Blueprint = engines.blueprint(tiny.source, tiny.input_shape, cut="")
    arrays: dict[str, Array] = {}
    for name, shape in plan.shapes.items():
        rng = generator(0, name)
        plain = name.removeprefix("trunk.")
        if name.endswith("num_batches_tracked"):
            arrays[plain] = np.zeros((), np.int64)
        elif name.endswith("running_var"):
            arrays[plain] = rng.uniform(0.5, 2, shape).astype(np.float32)
        else:
            arrays[plain] = rng.normal(0, 0.1, shape).astype(np.float32)
    return arrays


@pytest.fixture
def tiny_file(tmp_path: Path, tiny_arrays: dict[str, Array]) -> Path:
    """They, in a safetensors file."""
    file = tmp_path / "model.safetensors"
    save_file(tiny_arrays, file)
    return file

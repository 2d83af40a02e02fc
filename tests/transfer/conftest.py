"""Weights of small networks in files, and a store of their own for each test."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from convoscope import engines
from convoscope.arrays import Array, generator
from convoscope.transfer.catalogue import Backbone, backbone

TINY = "timm:test_resnet"


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
    plan = engines.blueprint(tiny.source, tiny.input_shape, cut="")
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


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """A disk on which no file can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

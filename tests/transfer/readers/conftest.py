"""Weight files as other programs write them, made of a few arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convoscope.arrays import Array, FloatArray, generator


@pytest.fixture
def arrays() -> dict[str, FloatArray]:
    """A convolution and a dense layer, as Keras names and turns them."""
    rng = generator(0, "foreign")
    shapes = {"conv/kernel": (3, 3, 3, 4), "conv/bias": (4,), "top/kernel": (4, 2)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def write_tensorflow_js(
    folder: Path,
    arrays: Mapping[str, Array],
    *,
    quantised: Mapping[str, Mapping[str, Any]] | None = None,
    shard: int = 64,
) -> Path:
    """A layers model: ``arrays`` as they are to stand in the shards of ``shard`` bytes."""
    folder.mkdir(exist_ok=True)
    stream = b"".join(array.tobytes() for array in arrays.values())
    parts = [stream[i : i + shard] for i in range(0, len(stream), shard)]
    paths = [f"group1-shard{i}of{len(parts)}.bin" for i in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts, strict=True):
        (folder / path).write_bytes(part)
    weights = [
        {"name": name, "shape": array.shape, "dtype": "float32" if quantised else str(array.dtype)}
        | ({"quantization": quantised[name]} if quantised and name in quantised else {})
        for name, array in arrays.items()
    ]
    manifest = [{"paths": paths, "weights": weights}]
    model = {"modelTopology": {}, "weightsManifest": manifest, "generatedBy": "a test"}
    (folder / "model.json").write_text(json.dumps(model))
    return folder


def save_npz(file: Path, arrays: Mapping[str, Array]) -> None:
    """``numpy.savez``, whose types take names that are words of Python only."""
    save: Any = np.savez
    save(file, **arrays)


def edit_model(folder: Path, **changes: Any) -> None:
    """Change fields of the manifest's only group in ``model.json``."""
    file = folder / "model.json"
    model = json.loads(file.read_text())
    model["weightsManifest"][0] |= changes
    file.write_text(json.dumps(model))

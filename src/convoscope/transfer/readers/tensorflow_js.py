"""TensorFlow.js layers models: a folder with ``model.json`` and shards of bytes.

``model.json`` says which arrays stand one after the other in the shards, and how: as little-endian
numbers, or quantised to one or two bytes with ``value = q * scale + min`` for each array.

Source: https://github.com/tensorflow/tfjs/tree/master/tfjs-converter ("weightsManifest").
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from convoscope.arrays import Array, FloatArray
from convoscope.errors import WeightsError, placed
from convoscope.transfer.readers.foreign_weights import (
    ForeignWeights,
    as_float32,
    byte_count,
    is_number,
)

_Count: TypeAlias = Annotated[int, Field(ge=1, le=2**40)]
_SHARD = 4 * 2**20  # what the converter cuts at unless it is told otherwise
_LARGEST_JSON = 64 * 2**20
_AGAIN = "copy or download the whole folder again"
_DTYPES = {
    "float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "uint16": "<u2", "bool": "?",
}  # fmt: skip


class _Quantisation(BaseModel):
    """How the numbers of one array were rounded; float16 has neither scale nor minimum."""

    dtype: Literal["uint8", "uint16", "float16"]
    scale: float | None = None
    min: float | None = None


class _Weight(BaseModel):
    """One array: its name, its shape, and how its numbers are stored."""

    name: str
    shape: tuple[_Count, ...]
    dtype: Literal["float32", "float16", "int32", "uint8", "uint16", "bool"]
    quantization: _Quantisation | None = None

    @property
    def stored(self) -> np.dtype[np.generic]:
        """The type of the numbers as the shards hold them."""
        return np.dtype(_DTYPES[self.quantization.dtype if self.quantization else self.dtype])

    @property
    def bytes(self) -> int:
        """How many bytes of the shards are this array's."""
        return byte_count(self.shape, self.stored.itemsize)


class _Group(BaseModel):
    """Shards that are read as one stream of bytes, and the arrays that stand in it."""

    paths: tuple[str, ...]
    weights: tuple[_Weight, ...]


class _Model(BaseModel):
    """``model.json``, as far as weights go."""

    weightsManifest: tuple[_Group, ...]  # noqa: N815
    generatedBy: str | None = None  # noqa: N815
    convertedBy: str | None = None  # noqa: N815


def read_tensorflow_js(path: Path) -> ForeignWeights:
    """The arrays of a layers model; ``path`` is its folder, or the ``model.json`` in it.

    Raises:
        WeightsError: if there is no ``model.json``, it does not describe arrays, or a shard is
            missing, outside the folder, or not as long as the arrays in it.
    """
    file = path / "model.json" if path.is_dir() else path
    model = _manifest(file)
    arrays: dict[str, FloatArray] = {}
    steps: dict[str, float] = {}
    for group in model.weightsManifest:
        stream = _stream(file.parent, group)
        for weight, array in _cut(stream, group.weights):
            if weight.dtype not in ("float32", "float16"):
                continue  # a counter or a switch
            arrays[weight.name] = array
            if weight.quantization and weight.quantization.scale is not None:
                steps[weight.name] = weight.quantization.scale
    known = {"generatedBy": model.generatedBy, "convertedBy": model.convertedBy}
    metadata = {key: value for key, value in known.items() if value}
    return ForeignWeights(
        path=path, format="tensorflow.js", arrays=arrays, steps=steps, metadata=metadata
    )


def _manifest(file: Path) -> _Model:
    if not file.is_file():
        raise WeightsError(
            "a folder of weights must hold a model.json, as TensorFlow.js layers models have, this "
            "one has none: name that folder, or a weight file"
        )
    if file.stat().st_size > _LARGEST_JSON:
        raise WeightsError(
            f"model.json must be a description of at most {_LARGEST_JSON} bytes, found "
            f"{file.stat().st_size}: the weights belong in shards beside it"
        )
    try:
        return _Model.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise WeightsError(
            f"{file.name}: must be JSON with a 'weightsManifest', as TensorFlow.js writes it, "
            f"found at {key or 'its start'!r}: {first['msg']}: {_AGAIN}"
        ) from error


def _stream(folder: Path, group: _Group) -> bytes:
    """The group's shards as one stream, once their lengths are what the arrays need."""
    files = [_shard(folder, name) for name in group.paths]
    sizes = [file.stat().st_size for file in files]
    needed = sum(weight.bytes for weight in group.weights)
    if sum(sizes) != needed:
        raise WeightsError(
            f"its {len(files)} shards must hold {needed} bytes together, as model.json says, "
            f"found {sum(sizes)}{_odd_one(files, sizes, needed)}: {_AGAIN}"
        )
    return b"".join(file.read_bytes() for file in files)


def _shard(folder: Path, name: str) -> Path:
    """A shard's file, which stands in the folder or below it and nowhere else."""
    parts = PurePosixPath(name).parts
    is_inside = (
        bool(parts)
        and ".." not in parts
        and not PurePosixPath(name).is_absolute()
        and "\\" not in name
        and ":" not in name
        and not PureWindowsPath(name).is_absolute()
    )
    if not is_inside:
        raise WeightsError(
            f"model.json: a shard must be a file in the model's own folder, found the path "
            f"{name!r}: do not use this model, or write the shards' names alone"
        )
    file = folder / name
    if not file.is_file():
        raise WeightsError(f"every shard must be in the folder, {name!r} is missing: {_AGAIN}")
    return file


def _odd_one(files: Sequence[Path], sizes: Sequence[int], needed: int) -> str:
    """Which shard is to blame, where all were cut as the converter does."""
    if len(files) != -(-needed // _SHARD):
        return ""
    expected = [min(_SHARD, needed - start) for start in range(0, needed, _SHARD)]
    for file, size, right in zip(files, sizes, expected, strict=True):
        if size != right:
            return f" ({file.name!r} has {size} instead of {right})"
    return ""


def _cut(stream: bytes, weights: Sequence[_Weight]) -> Iterator[tuple[_Weight, FloatArray]]:
    starts = itertools.accumulate((weight.bytes for weight in weights), initial=0)
    for weight, start in zip(weights, starts, strict=False):
        count = weight.bytes // weight.stored.itemsize
        found = np.frombuffer(stream, weight.stored, count, start).reshape(weight.shape)
        with placed(repr(weight.name)):
            yield weight, _values(found, weight.quantization)


def _values(stored: Array, quantisation: _Quantisation | None) -> FloatArray:
    """``q * scale + min``, as JavaScript computes it: in double precision, then rounded once."""
    if quantisation is None or quantisation.dtype == "float16":
        return as_float32(stored) if is_number(stored) else np.zeros(0, np.float32)
    if quantisation.scale is None or quantisation.min is None:
        raise WeightsError(
            f"an array quantised to {quantisation.dtype} needs a scale and a min, found "
            f"{quantisation.scale} and {quantisation.min}: convert the model again"
        )
    levels = np.arange(np.iinfo(stored.dtype).max + 1, dtype=np.float64)
    table = as_float32(levels * quantisation.scale + quantisation.min)
    return table[stored]

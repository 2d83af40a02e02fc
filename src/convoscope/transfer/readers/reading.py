"""Which kind of weight file it is, told by what it holds, and its reader called.

Nothing of a file is ever executed: pickles go through PyTorch's reader of plain tensors alone.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from convoscope.errors import MissingDependencyError, WeightsError, placed
from convoscope.transfer.readers.foreign_weights import ForeignWeights, check_finite
from convoscope.transfer.readers.keras import read_keras, read_keras_archive
from convoscope.transfer.readers.npz import read_npz
from convoscope.transfer.readers.safetensors_file import is_safetensors, read_safetensors
from convoscope.transfer.readers.tensorflow_js import read_tensorflow_js

Reader: TypeAlias = Callable[[Path], ForeignWeights]

_KNOWN = (
    "give PyTorch's .pth, .safetensors, Keras' .h5 or .keras, .npz, or the folder of a "
    "TensorFlow.js layers model"
)
# What people give by mistake, by its first bytes.
_OTHERS = (
    (0, b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with  git lfs pull"),
    (0, b"<", "a web page or XML: download the file again, by its direct address"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it first"),
    (4, b"TFL3", "a TensorFlow Lite model, which is not read: " + _KNOWN),
    (0, b"\x08", "perhaps an ONNX or TensorFlow graph, which is not read: " + _KNOWN),
)  # fmt: skip


def read(path: Path) -> ForeignWeights:
    """The arrays of a weight file or model folder, as it stores them, in float32.

    The format is told by the content. Every array is checked to be finite.

    Raises:
        WeightsError: if it is not there, of no known format, cut short or damaged, or holds
            something other than weights, or NaN.
        MissingDependencyError: if the format needs a library that is not installed.
    """
    with placed(str(path)):
        try:
            foreign = _reader(path)(path)
        except OSError as error:
            raise WeightsError(
                f"a weight file must be readable, the system said {error.strerror!r}: "
                "check the path and its permissions"
            ) from error
        check_finite(foreign.arrays)
    return foreign


def _reader(path: Path) -> Reader:
    """The reader of what is at ``path``."""
    if path.is_dir():
        return read_tensorflow_js
    if not path.is_file():
        raise WeightsError(
            "a weight file or a model's folder must be there, found none: check the path"
        )
    with path.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_keras
    if start.startswith(b"PK\x03\x04"):
        return _archive_reader(path)
    if is_safetensors(start):
        return read_safetensors
    if start.lstrip().startswith(b"{"):
        return read_tensorflow_js
    if start.startswith(b"\x80"):  # the first byte of a pickle; PyTorch wrote plain ones until 2020
        return _read_torch
    raise _unknown(start)


def _archive_reader(path: Path) -> Reader:
    """The reader of a zip archive, which three formats are."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:  # bytes that make no sense raise anything there
        raise WeightsError(
            "the file must be a whole zip archive, as it begins like one, opening it gave "
            f"{str(error)!r}: it was cut short; copy or download it again"
        ) from error
    if any(name.endswith("/data.pkl") for name in names):
        return _read_torch
    if "model.weights.h5" in names:
        return read_keras_archive
    if names and all(name.endswith(".npy") for name in names):
        return read_npz
    found = ", ".join(map(repr, names[:3])) or "nothing"
    raise WeightsError(
        f"a zip archive must be one that PyTorch, Keras or NumPy wrote, found {found} in it: "
        "unpack it and give the weight file"
    )


def _read_torch(path: Path) -> ForeignWeights:
    """PyTorch's files need PyTorch, which is imported for them alone."""
    try:
        from convoscope.engines.torch import pickled
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError(
            "reading .pth and .pt files needs PyTorch, which is not installed: "
            "run  pip install torch"
        ) from error
    return ForeignWeights(path=path, format="torch", arrays=pickled.read_arrays(path))


def _unknown(start: bytes) -> WeightsError:
    for offset, mark, what in _OTHERS:
        if start[offset:].startswith(mark):
            return WeightsError(f"a weight file must be of a known format, this is {what}")
    return WeightsError(
        f"a weight file must be of a known format, this one begins with {start[:8]!r}: {_KNOWN}"
    )

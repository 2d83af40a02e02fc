"""Keras' HDF5 files, of every age, under the names ``"layer/parameter"``.

================================  ==============================================================
``model.save("x.h5")``            ``model_weights/conv/conv/kernel:0``, beside the optimiser's
``model.save_weights("x.h5")``    ``conv/conv/kernel:0``; files of Keras 1 say ``conv/conv_W_1:0``
``.weights.h5`` of Keras 3        ``layers/conv2d_4/vars/0``; newer ones bear the layer's own name
``.keras``                        a zip archive with such a ``model.weights.h5`` in it
================================  ==============================================================

A Keras 3 file that does not say its layers' own names gives the names it has, ``conv2d_4/kernel``.
Links out of the file are never followed.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.engines.claims import check_claim
from convoscope.errors import MissingDependencyError, WeightsError
from convoscope.transfer.readers.foreign_weights import (
    ForeignWeights,
    as_float32,
    byte_count,
    file_size,
)

_ARCHIVED = "model.weights.h5"
_KERAS_1 = {
    "W": "kernel", "b": "bias", "gamma": "gamma", "beta": "beta",
    "running_mean": "moving_mean", "running_std": "moving_variance",
}  # fmt: skip
_OLD_NAME = re.compile(rf"_({'|'.join(_KERAS_1)})(?:_\d+)?$")
_OPTIMISERS = ("optimizer", "optimizer_weights")
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_WEIGHTED = ("kernel", "bias")
_VARIABLES = {
    "batch_normalization": _NORM,
    "separable_conv2d": ("depthwise_kernel", "pointwise_kernel", "bias"),
}  # of every other kind of layer: kernel, bias


def read_keras(path: Path) -> ForeignWeights:
    """The arrays of an HDF5 file that Keras wrote.

    Raises:
        MissingDependencyError: if h5py is not installed.
        WeightsError: if the file is cut short, refers to other files, or is none of Keras'.
    """
    with path.open("rb") as stream:
        return _foreign(path, stream, file_size(path))


def read_keras_archive(path: Path) -> ForeignWeights:
    """The arrays of a ``.keras`` archive.

    Raises:
        MissingDependencyError: if h5py is not installed.
        WeightsError: if the archive or the weights in it are damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(_ARCHIVED)
            check_claim(member.file_size, file_size(path))
            content = archive.read(member)
    except WeightsError:
        raise
    except Exception as error:  # bytes that make no sense raise anything there
        raise WeightsError(
            f"a .keras archive must hold its {_ARCHIVED} whole, reading it gave {error}: "
            "it was cut short or damaged; copy or download it again"
        ) from error
    return _foreign(path, io.BytesIO(content), len(content))


def _foreign(path: Path, stream: IO[bytes], size: int) -> ForeignWeights:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "reading Keras' .h5 and .keras files needs h5py, which is not installed: "
            "run  pip install h5py"
        ) from error
    try:
        with h5py.File(stream, "r") as file:
            datasets = _datasets(file, size)
            found = _of_keras_3(file, datasets) or _of_keras_2(datasets)
            arrays = {name: _values(dataset) for name, dataset in found.items()}
    except WeightsError:
        raise
    except Exception as error:  # bytes that make no sense raise anything there
        raise WeightsError(
            f"an HDF5 file must be whole, reading it gave {str(error)[:120]!r}: it was cut short "
            "or damaged; copy or download it again"
        ) from error
    return ForeignWeights(path=path, format="keras", arrays=arrays)


def _datasets(file: Any, size: int) -> dict[str, Any]:
    """The file's arrays of floating-point numbers by their path; links are not followed."""
    import h5py

    found: dict[str, Any] = {}

    def visit(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and entry.dtype.kind == "f":
            if entry.external or entry.is_virtual:
                raise WeightsError(
                    f"{name!r}: weights must stand in the file itself, found a reference to "
                    "another file: do not use this one"
                )
            found[name] = entry

    file.visititems(visit)
    check_claim(sum(byte_count(d.shape, d.dtype.itemsize) for d in found.values()), size)
    return found


def _of_keras_3(file: Any, datasets: Mapping[str, Any]) -> dict[str, Any]:
    """``"layer/parameter"`` of ``layers/conv2d_4/vars/0``, the first variable of such a layer."""
    found: dict[str, Any] = {}
    for path, dataset in datasets.items():
        group, _, number = path.rpartition("/vars/")
        if not number.isdigit() or not group or group.partition("/")[0] in _OPTIMISERS:
            continue
        numbered = group.rpartition("/")[2]
        variables = _VARIABLES.get(re.sub(r"_\d+$", "", numbered), _WEIGHTED)
        parameter = variables[int(number)] if int(number) < len(variables) else number
        layer = file[f"{group}/vars"].attrs.get("name", numbered)
        found[f"{layer}/{parameter}"] = dataset
    return found


def _of_keras_2(datasets: Mapping[str, Any]) -> dict[str, Any]:
    """``"layer/parameter"`` of ``conv/conv/kernel:0`` and its kin."""
    found: dict[str, Any] = {}
    for path, dataset in datasets.items():
        group, _, rest = path.removeprefix("model_weights/").partition("/")
        if rest and group not in _OPTIMISERS:
            found["/".join(_layer_and_parameter(group, rest))] = dataset
    return found


def _layer_and_parameter(group: str, rest: str) -> tuple[str, str]:
    """What stands above the parameter is the layer; the group may be a whole model.

    ``conv/conv_1/kernel:0`` is the layer ``conv`` of a program that had another one of that name.
    """
    *above, leaf = rest.removesuffix(":0").split("/")
    old = _OLD_NAME.search(leaf)
    parameter = _KERAS_1[old[1]] if old else leaf
    layer = above[-1] if above else group
    return (group if re.fullmatch(rf"{re.escape(group)}_\d+", layer) else layer), parameter


def _values(dataset: Any) -> FloatArray:
    return as_float32(np.asarray(dataset[()]))

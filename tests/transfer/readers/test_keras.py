from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.transfer.readers.conftest import save_npz

from convoscope.arrays import FloatArray
from convoscope.errors import MissingDependencyError, WeightsError
from convoscope.transfer.readers import read

# Where each age of Keras keeps one convolution, a depthwise one, a norm and a dense layer.
ONES = np.ones((2, 2), np.float32)
NORM = ("gamma", "beta", "moving_mean", "moving_variance")
KERAS_1 = {
    "block1_conv1/block1_conv1_W_1:0": "block1_conv1/kernel",
    "block1_conv1/block1_conv1_b_1:0": "block1_conv1/bias",
    "bn/bn_running_std:0": "bn/moving_variance",
    "bn/bn_gamma:0": "bn/gamma",
}
KERAS_2 = {
    "conv/conv/kernel:0": "conv/kernel",
    "conv/conv_1/bias:0": "conv/bias",
    "dw/dw/depthwise_kernel:0": "dw/depthwise_kernel",
    "vgg16/block1_conv1/kernel:0": "block1_conv1/kernel",
    "vgg16/block1_conv2/kernel:0": "block1_conv2/kernel",
}
KERAS_2_MODEL = {f"model_weights/{path}": name for path, name in KERAS_2.items()}
KERAS_3_LEGACY = {
    "model_weights/c1/sequential/c1/kernel": "c1/kernel",
    "model_weights/c1/sequential/c1/bias": "c1/bias",
}
KERAS_3_NUMBERED = {
    "layers/conv2d/vars/0": "conv2d/kernel",
    "layers/conv2d_11/vars/1": "conv2d_11/bias",
    "layers/depthwise_conv2d_3/vars/0": "depthwise_conv2d_3/kernel",
    "layers/separable_conv2d/vars/1": "separable_conv2d/pointwise_kernel",
    **{
        f"layers/batch_normalization_2/vars/{i}": f"batch_normalization_2/{name}"
        for i, name in enumerate(NORM)
    },
}


def write(file: Path, names: Mapping[str, str]) -> Path:
    """An HDF5 file whose n-th array holds n."""
    with h5py.File(file, "w") as stream:
        for i, path in enumerate(names):
            stream[path] = i * ONES
        stream["optimizer/vars/1"] = ONES
        stream["optimizer_weights/adam/m:0"] = ONES
    return file


@pytest.mark.parametrize(
    "names",
    [KERAS_1, KERAS_2, KERAS_2_MODEL, KERAS_3_LEGACY, KERAS_3_NUMBERED],
    ids=["1", "2", "2 whole model", "3 whole model", "3"],
)
def test_files_of_every_age_give_layer_and_parameter(
    tmp_path: Path, names: Mapping[str, str]
) -> None:
    foreign = read(write(tmp_path / "weights", names))
    assert foreign.format == "keras"
    expected = {name: i for i, name in enumerate(names.values())}
    found = {name: int(array[0, 0]) for name, array in foreign.arrays.items()}
    assert found == expected


def test_layers_own_names_are_taken_where_the_file_says_them(tmp_path: Path) -> None:
    file = write(tmp_path / "w.weights.h5", KERAS_3_NUMBERED)
    with h5py.File(file, "a") as stream:
        stream["layers/conv2d/vars"].attrs["name"] = "block1_conv1"
    assert "block1_conv1/kernel" in read(file).arrays


def test_a_keras_archive_holds_the_same(tmp_path: Path) -> None:
    inner = write(tmp_path / "w.weights.h5", KERAS_3_NUMBERED)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(inner, "model.weights.h5")
    found, expected = read(tmp_path / "m.keras"), read(inner)
    assert list(found.arrays) == list(expected.arrays)
    assert found.format == "keras"


def test_a_damaged_keras_archive_is_told(tmp_path: Path) -> None:
    inner = write(tmp_path / "w.weights.h5", KERAS_3_NUMBERED)
    file = tmp_path / "m.keras"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(inner, "model.weights.h5")
    content = file.read_bytes()
    file.write_bytes(content[:500] + b"\xff" * 9 + content[509:])
    with pytest.raises(WeightsError, match=r"must hold its model.weights.h5 whole, .*Bad CRC-32"):
        read(file)


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "w.h5", KERAS_2)
    content = file.read_bytes()
    for kept in (100, len(content) // 2, len(content) - 300):
        file.write_bytes(content[:kept])
        with pytest.raises(
            WeightsError, match=r"w.h5: an HDF5 file must be whole, reading it gave .*: it was cut"
        ):
            read(file)


def test_references_to_other_files_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    write(secret, KERAS_2)
    file = write(tmp_path / "w.h5", {"conv/conv/kernel:0": "conv/kernel"})
    with h5py.File(file, "a") as stream:
        stream["conv/conv/bias:0"] = h5py.ExternalLink(str(secret), "conv/conv_1/bias:0")
    assert list(read(file).arrays) == ["conv/kernel"]
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(16))
    with h5py.File(file, "a") as stream:
        stream.create_dataset("conv/conv/raw", (4,), "f4", external=[(str(raw), 0, 16)])
    with pytest.raises(
        WeightsError, match=r"'conv/conv/raw': weights must stand in the file itself, found a refer"
    ):
        read(file)


def test_a_shape_without_numbers_behind_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.h5"
    with h5py.File(file, "w") as stream:
        stream.create_dataset("conv/conv/kernel:0", (2**20, 2**20), "f4", chunks=(2**9, 2**9))
    with pytest.raises(WeightsError, match=r"says that it holds 4398046511104: it is damaged, or"):
        read(file)


def test_without_h5py_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: dict[str, FloatArray]
) -> None:
    file = write(tmp_path / "w.h5", KERAS_2)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        MissingDependencyError,
        match=r"reading Keras' .h5 and .keras files needs h5py, which is not installed: run  pip",
    ):
        read(file)
    save_npz(tmp_path / "w.npz", arrays)
    assert read(tmp_path / "w.npz").arrays  # the other formats do not need it

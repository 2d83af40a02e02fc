from __future__ import annotations

import builtins
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.transfer.readers.conftest import save_npz

from convoscope.arrays import FloatArray
from convoscope.errors import MissingDependencyError, WeightsError
from convoscope.transfer.readers import read


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "this is a Git LFS pointer: fetch"),
        (b"<!DOCTYPE html><html>", "this is a web page or XML: download the file again, by its"),
        (b"\x1f\x8b\x08\x00 zipped", "this is a gzip archive: unpack it first"),
        (b"\x1c\0\0\0TFL3 and more", "this is a TensorFlow Lite model, which is not read: give"),
        (b"\x08\x08\x12\x07pytorch", "this is perhaps an ONNX or TensorFlow graph, which is not"),
        (b"GIF89a", r"this one begins with b'GIF89a': give PyTorch's .pth, .safetensors, Keras'"),
        (b"", "this one begins with b'': give PyTorch's"),
    ],
)
def test_a_file_of_no_known_format_is_told_what_it_seems(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "weights.h5"
    file.write_bytes(content)
    with pytest.raises(
        WeightsError, match=f"weights.h5: a weight file must be of a known format, {said}"
    ):
        read(file)


def test_a_path_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"a weight file or a model's folder must be there, found none: check"
    ):
        read(tmp_path / "nowhere.pth")


def test_what_the_system_will_not_open() -> None:
    with pytest.raises(
        WeightsError, match=r"must be readable, the system said 'File name too long': check the pa"
    ):
        read(Path("x" * 300))


def test_reading_loads_no_library_before_a_file_needs_it() -> None:
    script = (
        "import sys, convoscope.transfer.foreign;"
        "print(*{'torch', 'h5py', 'timm', 'keras', 'scipy'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == []


def test_an_archive_of_something_else_is_told_what_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("vgg19.h5", b"")
    with pytest.raises(
        WeightsError,
        match=r"must be one that PyTorch, Keras or NumPy wrote, found 'vgg19.h5' in it: unpack it",
    ):
        read(tmp_path / "w.zip")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(
    tmp_path: Path, arrays: dict[str, FloatArray], value: float
) -> None:
    arrays["conv/kernel"][1, 1, 0, :2] = value
    save_npz(tmp_path / "w.npz", arrays)
    with pytest.raises(
        WeightsError,
        match=r"w.npz: 'conv/kernel': weights must be finite numbers, found NaN or infinity in 2 "
        "of 108 values: the training that made the file broke down",
    ):
        read(tmp_path / "w.npz")


def test_numbers_too_large_for_float32_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([1e300]))
    with pytest.raises(WeightsError, match=r"'a': weights must be finite numbers"):
        read(tmp_path / "w.npz")


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", labels=np.arange(3))
    with pytest.raises(
        WeightsError, match=r"a weight file must hold arrays of floating-point numbers, found none"
    ):
        read(tmp_path / "w.npz")


def test_pytorch_files_without_pytorch_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_torch(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("convoscope.engines.torch"):
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *rest, **options)

    (tmp_path / "w.pth").write_bytes(b"\x80\x02")
    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(
        MissingDependencyError,
        match=r"reading .pth and .pt files needs PyTorch, which is not installed: run  pip install",
    ):
        read(tmp_path / "w.pth")

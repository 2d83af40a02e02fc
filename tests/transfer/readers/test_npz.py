from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy
from tests.transfer.readers.conftest import save_npz

from convoscope.arrays import FloatArray
from convoscope.errors import WeightsError
from convoscope.transfer.readers import read


def test_arrays_come_back_as_they_were_and_counters_do_not(
    tmp_path: Path, arrays: dict[str, FloatArray]
) -> None:
    file = tmp_path / "weights.npz"
    save_npz(file, {**arrays, "half": np.ones(3, np.float16), "steps": np.arange(3)})
    foreign = read(file)
    assert foreign.format == "npz"
    assert list(foreign.arrays) == [*arrays, "half"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(foreign.arrays[name], array, strict=True)
    assert foreign.arrays["half"].dtype == np.float32


def test_compressed_and_fortran_ordered_arrays_are_read(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    np.savez_compressed(tmp_path / "weights.npz", a=array)
    np.testing.assert_array_equal(read(tmp_path / "weights.npz").arrays["a"], array, strict=True)


def _header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": descr})
    return stream.getvalue()


def _archive(file: Path, content: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("a.npy", content)
    return file


def test_a_header_that_claims_more_than_is_there_is_refused_before_memory_is_taken(
    tmp_path: Path,
) -> None:
    file = _archive(tmp_path / "w.npz", _header((2**20, 2**20)) + bytes(64))
    with pytest.raises(
        WeightsError,
        match=r"w.npz: 'a': an array must fit in its member of \d+ bytes, its header claims the "
        r"shape \(1048576, 1048576\), 4398046511104 bytes: the file is damaged or made to harm",
    ):
        read(file)


def test_an_archive_that_grows_without_bound_is_refused(tmp_path: Path) -> None:
    count = 2**25
    content = _header((count,)) + bytes(4 * count)
    file = _archive(tmp_path / "w.npz", content, zipfile.ZIP_DEFLATED)
    with pytest.raises(
        WeightsError, match=r"may unpack to 50 times its size and to 16 GiB, this one of \d+ bytes"
    ):
        read(file)


def test_pickled_objects_are_refused_unread(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([{}], dtype=object))
    with pytest.raises(
        WeightsError, match=r"w.npz: 'a': an array of weights must be plain numbers, found Python"
    ):
        read(tmp_path / "w.npz")


def test_a_cut_or_damaged_archive_is_told(tmp_path: Path, arrays: dict[str, FloatArray]) -> None:
    file = tmp_path / "w.npz"
    save_npz(file, arrays)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        WeightsError,
        match=r"must be a whole zip archive, as it begins like one, .* cut short",
    ):
        read(file)
    start = content.index(arrays["conv/kernel"].tobytes())
    file.write_bytes(content[:start] + b"\xff" * 9 + content[start + 9 :])
    with pytest.raises(
        WeightsError, match=r"'conv/kernel': an npz file must hold whole arrays, .*Bad CRC-32"
    ):
        read(file)
    _archive(file, b"no array at all")
    with pytest.raises(WeightsError, match=r"'a': an npz file must hold whole arrays, reading"):
        read(file)

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from convoscope.arrays import FloatArray
from convoscope.errors import WeightsError
from convoscope.transfer.readers import read


def test_arrays_come_back_as_they_were_and_counters_do_not(
    tmp_path: Path, arrays: dict[str, FloatArray]
) -> None:
    file = tmp_path / "model.bin"  # the content tells the format
    save_file({**arrays, "half": np.ones(2, np.float16), "steps": np.arange(3)}, file)
    foreign = read(file)
    assert foreign.format == "safetensors"
    assert set(foreign.arrays) == {*arrays, "half"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(foreign.arrays[name], array, strict=True)


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 0.15625], np.float32)  # exact in eight bits
    content = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + content)
    np.testing.assert_array_equal(read(file).arrays["a"], values, strict=True)


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_file_is_told(tmp_path: Path, arrays: dict[str, FloatArray], kept: float) -> None:
    file = tmp_path / "model.safetensors"
    save_file(arrays, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(
        WeightsError,
        match=r"a safetensors file must be as long as its header says, reading it gave .*cut short",
    ):
        read(file)


def test_a_claimed_shape_that_is_not_there_is_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}
    header = json.dumps({"a": entry}).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    with pytest.raises(WeightsError, match=r"must be as long as its header says"):
        read(file)

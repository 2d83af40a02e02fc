from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.transfer.readers.conftest import edit_model, write_tensorflow_js

from convoscope.arrays import Array, FloatArray, generator
from convoscope.errors import WeightsError
from convoscope.transfer.readers import read


def test_float_arrays_come_back_as_they_were_from_the_folder_or_its_json(
    tmp_path: Path, arrays: dict[str, FloatArray]
) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays)
    for path in (folder, folder / "model.json"):
        foreign = read(path)
        assert (foreign.format, foreign.metadata) == ("tensorflow.js", {"generatedBy": "a test"})
        assert list(foreign.arrays) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(foreign.arrays[name], array, strict=True)
        assert not foreign.steps


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_quantised_arrays_are_scale_times_q_plus_min(tmp_path: Path, kind: str) -> None:
    limit = np.iinfo(kind).max
    levels = generator(1, kind).integers(0, limit + 1, (5, 7)).astype(kind)
    scale, least = 0.0123, -0.7
    rule = {"dtype": kind, "scale": scale, "min": least, "original_dtype": "float32"}
    arrays = {"a/kernel": levels}
    folder = write_tensorflow_js(tmp_path / "model", arrays, quantised={"a/kernel": rule})
    foreign = read(folder)
    for row, column in np.ndindex(5, 7):  # as JavaScript does: doubles, stored as floats
        expected = np.float32(int(levels[row, column]) * scale + least)
        assert foreign.arrays["a/kernel"][row, column] == expected
    assert foreign.arrays["a/kernel"].dtype == np.float32
    assert foreign.steps == {"a/kernel": scale}


def test_float16_is_widened_and_counters_are_left_out(tmp_path: Path) -> None:
    half = np.arange(6, dtype=np.float16).reshape(2, 3) / 4
    arrays: dict[str, Array] = {"iterations": np.array([7], np.int32), "a/kernel": half}
    found = read(write_tensorflow_js(tmp_path / "model", arrays)).arrays
    assert list(found) == ["a/kernel"]
    np.testing.assert_array_equal(found["a/kernel"], half.astype(np.float32), strict=True)
    rule = {"a/kernel": {"dtype": "float16", "original_dtype": "float32"}}
    again = read(write_tensorflow_js(tmp_path / "model", {"a/kernel": half}, quantised=rule))
    np.testing.assert_array_equal(again.arrays["a/kernel"], half.astype(np.float32), strict=True)
    assert not again.steps


def test_a_missing_shard_is_named(tmp_path: Path, arrays: dict[str, FloatArray]) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays)
    (folder / "group1-shard3of8.bin").unlink()
    with pytest.raises(
        WeightsError,
        match=r"model: every shard must be in the folder, 'group1-shard3of8.bin' is missing: copy",
    ):
        read(folder)


def test_a_shard_of_another_length_is_refused(
    tmp_path: Path, arrays: dict[str, FloatArray]
) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays)
    shard = folder / "group1-shard3of8.bin"
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(
        WeightsError,
        match=r"its 8 shards must hold 480 bytes together, as model.json says, found 475: copy or",
    ):
        read(folder)


def test_the_odd_shard_is_named_where_they_were_cut_as_usual(tmp_path: Path) -> None:
    zeros = np.zeros((1200, 1000), np.float32)
    folder = write_tensorflow_js(tmp_path / "model", {"a/kernel": zeros}, shard=4 * 2**20)
    (folder / "group1-shard1of2.bin").write_bytes(b"short")
    with pytest.raises(WeightsError, match=r"\('group1-shard1of2.bin' has 5 instead of 4194304\)"):
        read(folder)


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "a/../../b", "C:\\x", "..\\x", "https://x.org/a", ""]
)
def test_shards_outside_the_folder_are_refused(
    tmp_path: Path, arrays: dict[str, FloatArray], path: str
) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays)
    (tmp_path / "secret").write_bytes(bytes(480))
    edit_model(folder, paths=[path])
    with pytest.raises(
        WeightsError, match=r"model.json: a shard must be a file in the model's own folder, found"
    ):
        read(folder)


def test_shards_may_lie_in_a_folder_of_their_own(
    tmp_path: Path, arrays: dict[str, FloatArray]
) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays, shard=10**6)
    (folder / "shards").mkdir()
    (folder / "group1-shard1of1.bin").rename(folder / "shards" / "one.bin")
    edit_model(folder, paths=["shards/one.bin"])
    assert list(read(folder).arrays) == list(arrays)


def test_a_huge_shape_is_refused_by_the_shards_lengths(
    tmp_path: Path, arrays: dict[str, FloatArray]
) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays)
    huge = [{"name": "a/kernel", "shape": [2**40, 2**40], "dtype": "float32"}]
    edit_model(folder, weights=huge)
    with pytest.raises(WeightsError, match=f"must hold {2**82} bytes together"):
        read(folder)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        (
            [{"name": "a", "dtype": "float32"}],
            r"'weightsManifest.0.weights.0.shape': Field required",
        ),
        ([{"name": "a", "shape": [-1], "dtype": "float32"}], "greater than or equal to 1"),
        ([{"name": "a", "shape": [1], "dtype": "complex64"}], "Input should be 'float32'"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_told_where(
    tmp_path: Path, arrays: dict[str, FloatArray], weights: object, found: str
) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays)
    edit_model(folder, weights=weights)
    with pytest.raises(WeightsError, match=rf"model.json: must be JSON with a .*{found}"):
        read(folder)


def test_a_quantised_array_without_scale_is_refused(tmp_path: Path) -> None:
    levels = np.zeros((2, 2), np.uint8)
    rule = {"a": {"dtype": "uint8", "min": 0.5}}
    folder = write_tensorflow_js(tmp_path / "model", {"a": levels}, quantised=rule)
    with pytest.raises(
        WeightsError, match=r"'a': an array quantised to uint8 needs a scale and a min, found None"
    ):
        read(folder)


def test_half_a_model_json_is_told(tmp_path: Path, arrays: dict[str, FloatArray]) -> None:
    folder = write_tensorflow_js(tmp_path / "model", arrays)
    file = folder / "model.json"
    file.write_text(file.read_text()[:100])
    with pytest.raises(
        WeightsError, match=r"model.json: must be JSON with a 'weightsManifest', as"
    ):
        read(folder)
    file.write_text(json.dumps({"modelTopology": {}}))
    with pytest.raises(WeightsError, match=r"found at 'weightsManifest': Field required: copy or"):
        read(file)


def test_a_folder_without_model_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError,
        match=r"a folder of weights must hold a model.json, as TensorFlow.js layers models have, "
        "this one has none: name that folder, or a weight file",
    ):
        read(tmp_path)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from convoscope.architecture.branches import Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Dropout, GlobalAvgPool
from convoscope.arrays import FloatArray
from convoscope.engines.learning import multipliers
from convoscope.engines.weights import parameter_shapes
from convoscope.transfer.freezing import frozen_file, is_statistic, last_frozen, weights_hash

NET = Architecture(
    name="net",
    input_shape=(3, 8, 8),
    layers=(
        Conv2d("conv1", 4),
        BatchNorm("norm1"),
        Residual("block", (Conv2d("inner", 4, padding=1),)),
        GlobalAvgPool("pool"),
        Dropout("drop"),
    ),
    heads=(Head(layers=(Dense("out", 3),)),),
)


@pytest.mark.parametrize(
    ("rates", "layer"),
    [
        ({"": 0, "out": 1}, "pool"),
        ({"": 0, "out": 1, "inner": 0.1}, "norm1"),
        ({"": 0, "out": 1, "block": 0.1}, "norm1"),
        ({"": 0, "norm1": 1}, "conv1"),
        ({}, None),
    ],
)
def test_what_is_frozen_ends_below_the_first_layer_that_learns(
    rates: dict[str, float], layer: str | None
) -> None:
    by_name = multipliers(NET, tuple(parameter_shapes(NET)), rates)
    assert last_frozen(NET, by_name) == layer


def test_a_hash_tells_names_shapes_types_and_values_apart() -> None:
    array = np.arange(6, dtype=np.float32)
    first: dict[str, FloatArray] = {"a": array}
    others: list[dict[str, FloatArray]] = [
        {"b": array},
        {"a": array.reshape(2, 3)},
        {"a": array.astype(np.float64)},
        {"a": array + 1e-6},
        {"a": array, "b": array},
    ]
    hashes = {weights_hash(each) for each in (first, *others)}
    assert len(hashes) == 6
    assert weights_hash({"a": array, "b": array}) == weights_hash({"b": array, "a": array})


def test_a_frozen_file_is_written_once(tmp_path: Path) -> None:
    parameters = {"conv.weight": np.ones((2, 3), np.float32)}
    file = frozen_file(parameters, cache_dir=tmp_path)
    before = file.stat().st_mtime_ns
    assert frozen_file(parameters, cache_dir=tmp_path) == file
    assert file.stat().st_mtime_ns == before
    np.testing.assert_array_equal(load_file(file)["conv.weight"], parameters["conv.weight"])


def test_statistics_are_told_from_weights() -> None:
    assert is_statistic("trunk.bn1.running_mean")
    assert not is_statistic("trunk.bn1.weight")

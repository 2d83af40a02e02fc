"""What a network starts from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convoscope.architecture.branches import Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, SeparableConv2d
from convoscope.architecture.protocol import Initialisation, Shape
from convoscope.arrays import generator
from convoscope.engines.initialise import draw, initial_parameters
from convoscope.engines.weights import parameter_shapes

CONV = Conv2d("conv", 8)
ARCHITECTURE = Architecture(
    name="t",
    input_shape=(3, 12, 12),
    layers=(
        CONV,
        BatchNorm("norm"),
        Residual("join", (SeparableConv2d("inner", 8, padding=1),)),
        Flatten("flat"),
    ),
    heads=(Head(layers=(Dense("dense", 4, initialisation="xavier"),)),),
)


def test_every_parameter_and_buffer_is_there_in_its_shape() -> None:
    drawn = initial_parameters(ARCHITECTURE, 0)
    assert {name: array.shape for name, array in drawn.items()} == parameter_shapes(ARCHITECTURE)
    assert list(drawn)[:4] == ["conv.weight", "conv.bias", "norm.weight", "norm.bias"]
    assert "inner.depthwise" in drawn
    assert {array.dtype.name for array in drawn.values()} == {"float32"}


def test_biases_are_0_and_batch_norm_is_the_identity() -> None:
    drawn = initial_parameters(ARCHITECTURE, 0)
    zeros = ("conv.bias", "inner.bias", "dense.bias", "norm.bias", "norm.running_mean")
    for name in zeros:
        assert not drawn[name].any()
    for name in ("norm.weight", "norm.running_var"):
        assert (drawn[name] == 1).all()


def test_a_parameter_depends_on_the_seed_and_its_own_name_only() -> None:
    alone = Architecture(name="other", input_shape=(3, 5, 5), layers=(CONV,))
    renamed = Architecture(name="t", input_shape=(3, 5, 5), layers=(Conv2d("conv0", 8),))
    weight = initial_parameters(ARCHITECTURE, 1)["conv.weight"]
    np.testing.assert_array_equal(initial_parameters(alone, 1)["conv.weight"], weight)
    assert not np.array_equal(initial_parameters(alone, 2)["conv.weight"], weight)
    assert not np.array_equal(initial_parameters(renamed, 1)["conv0.weight"], weight)


def test_float64_is_the_same_network_and_not_another() -> None:
    fine, coarse = (initial_parameters(ARCHITECTURE, 1, dtype) for dtype in ("float64", "float32"))
    for name, array in fine.items():
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, coarse[name])


SHAPES: list[Shape] = [(64, 32, 3, 3), (500, 300)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("scheme", "gain"), [("kaiming", 2.0), ("fan_in", 1.0)])
def test_normal_schemes_have_variance_gain_over_fan_in(
    shape: Shape, scheme: Initialisation, gain: float
) -> None:
    weights = draw(generator(0, "test"), shape, scheme).astype(np.float64)
    fan_in = math.prod(shape[1:])
    scaled = weights / math.sqrt(gain / fan_in)
    assert abs(scaled.mean()) < 4 / math.sqrt(scaled.size)
    assert scaled.var() == pytest.approx(1, abs=6 * math.sqrt(2 / scaled.size))
    assert (np.abs(scaled) > 1).mean() == pytest.approx(0.3173, abs=0.02)  # normal, not uniform


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_xavier_is_uniform_within_its_bound(shape: Shape) -> None:
    weights = draw(generator(0, "test"), shape, "xavier").astype(np.float64)
    area = math.prod(shape[2:])
    bound = math.sqrt(6 / (shape[0] * area + shape[1] * area))
    assert np.abs(weights).max() <= bound
    counts, _ = np.histogram(weights, bins=10, range=(-bound, bound))
    np.testing.assert_allclose(counts / weights.size, 0.1, atol=0.006)


def test_a_layers_scheme_is_used() -> None:
    dense = initial_parameters(ARCHITECTURE, 0)["dense.weight"]
    assert np.abs(dense).max() <= math.sqrt(6 / (dense.shape[0] + dense.shape[1]))
    conv = initial_parameters(ARCHITECTURE, 0)["conv.weight"]
    expected = draw(generator(0, "initialise", "conv", "weight"), (8, 3, 3, 3), "kaiming")
    np.testing.assert_array_equal(conv, expected)


def test_the_arrays_belong_to_the_caller() -> None:
    first = initial_parameters(ARCHITECTURE, 0)
    first["conv.weight"][...] = 0
    assert initial_parameters(ARCHITECTURE, 0)["conv.weight"].any()

"""Convolution against its definition, one output value at a time, and against its own adjoint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.engines.numpy.functional.conftest import pixels_of, sliding_over

from convoscope.arrays import FloatArray
from convoscope.engines.numpy.functional import (
    Sliding,
    Way,
    conv2d,
    depthwise_conv2d,
    grouped_conv2d,
)
from convoscope.engines.numpy.functional import sliding as sliding_module


def slow_conv2d(
    maps: FloatArray, kernel: FloatArray, bias: FloatArray, sliding: Sliding, groups: int = 1
) -> FloatArray:
    """The definition: for each image, place and filter, a sum over the pixels of the window."""
    filters, channels = kernel.shape[3], kernel.shape[2]
    y = np.empty((len(maps), *sliding.count, filters))
    for n, i, j, f in np.ndindex(y.shape):
        first = f // (filters // groups) * channels
        y[n, i, j, f] = bias[f] + sum(
            maps[n, row, column, first + c] * kernel[a, b, c, f]
            for a, b, row, column in pixels_of(maps, sliding, n, i, j)
            for c in range(channels)
        )
    return y


@st.composite
def convolutions(
    draw: st.DrawFn, groups: int = 1
) -> tuple[FloatArray, FloatArray, FloatArray, Sliding]:
    """Random maps, kernel, bias and geometry that go together."""
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    k, stride, dilation = (draw(st.integers(1, 4)) for _ in range(3))
    padding = draw(st.integers(0, 4))
    assume(min(size) + 2 * padding >= dilation * (k - 1) + 1)
    channels, filters = (groups * draw(st.integers(1, 3)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    maps = rng.normal(size=(draw(st.integers(1, 3)), *size, channels))
    kernel = rng.normal(size=(k, k, channels // groups, filters))
    return maps, kernel, rng.normal(size=filters), sliding_over(size, k, stride, padding, dilation)


@given(convolutions())
@settings(max_examples=60, deadline=None)
def test_conv_is_its_definition(
    case: tuple[FloatArray, FloatArray, FloatArray, Sliding],
) -> None:
    y, _ = conv2d(*case)
    np.testing.assert_allclose(y, slow_conv2d(*case), rtol=1e-9, atol=1e-12)


@given(convolutions())
@settings(max_examples=100, deadline=None)
def test_conv_gradients_are_its_adjoint(
    case: tuple[FloatArray, FloatArray, FloatArray, Sliding],
) -> None:
    maps, kernel, _, sliding = case
    y, backward = conv2d(maps, kernel, None, sliding)
    grad = np.random.default_rng(1).normal(size=y.shape)
    grad_maps, grad_kernel, none = backward(grad.copy())
    assert none is None
    # a convolution is linear in the maps and in the kernel: <grad, A x> = <A* grad, x>
    assert np.vdot(grad_maps, maps) == pytest.approx(np.vdot(grad, y), rel=1e-9, abs=1e-9)
    other = np.random.default_rng(2).normal(size=maps.shape)
    moved, _ = conv2d(other, kernel, None, sliding)
    assert np.vdot(grad_maps, other) == pytest.approx(np.vdot(grad, moved), rel=1e-9, abs=1e-9)
    other = np.random.default_rng(3).normal(size=kernel.shape)
    moved, _ = conv2d(maps, other, None, sliding)
    assert np.vdot(grad_kernel, other) == pytest.approx(np.vdot(grad, moved), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("groups", [2, 3])
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_groups_see_their_own_channels_only(groups: int, data: st.DataObject) -> None:
    maps, kernel, bias, sliding = data.draw(convolutions(groups))
    y, backward = grouped_conv2d(maps, kernel, bias, sliding, groups)
    expected = slow_conv2d(maps, kernel, bias, sliding, groups)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-12)
    grad = np.random.default_rng(1).normal(size=y.shape)
    grad_maps, grad_kernel, grad_bias = backward(grad.copy())
    assert np.vdot(grad_maps, maps) == pytest.approx(np.vdot(grad, y - bias), abs=1e-9)
    assert np.vdot(grad_kernel, kernel) == pytest.approx(np.vdot(grad, y - bias), abs=1e-9)
    np.testing.assert_allclose(grad_bias, grad.sum(axis=(0, 1, 2)), atol=1e-12)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_depthwise_is_one_group_per_channel(data: st.DataObject) -> None:
    maps, kernel, bias, sliding = data.draw(convolutions(3))
    maps, kernel = maps[..., :3], kernel[:, :, :1]
    y, backward = depthwise_conv2d(maps, kernel, bias, sliding)
    expected, expected_backward = grouped_conv2d(maps, kernel, bias, sliding, 3)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-12)
    grad = np.random.default_rng(1).normal(size=y.shape)
    for found, wanted in zip(backward(grad.copy()), expected_backward(grad.copy()), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["plain", "grouped", "depthwise"])
def test_nobody_computes_what_is_not_asked(kind: str) -> None:
    maps, kernel, bias = np.ones((1, 4, 4, 2)), np.ones((3, 3, 2, 2)), np.ones(2)
    sliding = sliding_over((4, 4), 3, 1, 0)
    if kind == "plain":
        y, backward = conv2d(maps, kernel, bias, sliding)
    elif kind == "grouped":
        y, backward = grouped_conv2d(maps, kernel[:, :, :1], bias, sliding, 2)
    else:
        y, backward = depthwise_conv2d(maps, kernel[:, :, :1], bias, sliding)
    nothing = backward(np.ones_like(y), Way(inputs=False, parameters=False))
    assert nothing == (None, None, None)


def test_a_large_convolution_is_done_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    maps, kernel = rng.normal(size=(3, 11, 7, 4)), rng.normal(size=(3, 3, 4, 5))
    sliding = sliding_over((11, 7), 3, 1, 1)
    whole, back_whole = conv2d(maps, kernel, None, sliding)
    grad = rng.normal(size=whole.shape)
    expected = back_whole(grad.copy())
    monkeypatch.setattr(sliding_module, "_STRIP_BYTES", 1)
    monkeypatch.setattr(sliding_module, "_FEWEST_ROWS", 15)
    shapes = [columns.shape for _, columns in sliding.strips(sliding.frame(maps))]
    assert shapes == [(14, 36), (14, 36), (14, 36), (14, 36), (14, 36), (7, 36)] * 3
    y, backward = conv2d(maps, kernel, None, sliding)
    np.testing.assert_allclose(y, whole, atol=1e-12)
    for found, wanted in zip(backward(grad)[:2], expected[:2], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)

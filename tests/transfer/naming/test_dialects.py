"""Layouts are checked by what they compute: each framework's definition, a number at a time."""

from __future__ import annotations

import itertools

import numpy as np

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, SeparableConv2d
from convoscope.arrays import Array, FloatArray, generator
from convoscope.transfer.naming.dialects import KERAS, TFLITE, TORCH, Dialect
from convoscope.transfer.naming.slots import slots

SHAPE = (3, 5, 4)


def drawn(*shape: int) -> FloatArray:
    values: FloatArray = generator(3, *shape).normal(size=shape)
    return values


def ours(architecture: Architecture, foreign: dict[str, Array], dialect: Dialect) -> FloatArray:
    """What our network gives for one random image with the foreign arrays in it, (K,)."""
    parameters = {}
    for slot in slots(architecture):
        names = [slot.layer.name + spelling for spelling in dialect.spellings(slot)]
        (name,) = [name for name in names if name in foreign]
        parameters[slot.name] = np.ascontiguousarray(dialect.arrange(foreign[name], slot))
    network = engines.build(
        architecture, engine="numpy", parameters=parameters, precision="float64"
    )
    logits: FloatArray = network.logits(drawn(1, *SHAPE))["class"][0]
    return logits


def image() -> FloatArray:
    """The same image with its channels last, as TensorFlow sees it, (H, W, C)."""
    channels_last: FloatArray = drawn(1, *SHAPE)[0].transpose(1, 2, 0)
    return channels_last


def slow_valid_conv(x: FloatArray, kernel: FloatArray) -> FloatArray:
    """(H, W, C) and Keras' (k, k, C, F) to (H', W', F)."""
    k = kernel.shape[0]
    out = np.zeros((x.shape[0] - k + 1, x.shape[1] - k + 1, kernel.shape[3]))
    for row, column, f in np.ndindex(*out.shape):
        for i, j, c in itertools.product(range(k), range(k), range(x.shape[2])):
            out[row, column, f] += x[row + i, column + j, c] * kernel[i, j, c, f]
    return out


def slow_depthwise(x: FloatArray, kernel: FloatArray) -> FloatArray:
    """(H, W, C) and Keras' (k, k, C, m) to (H', W', C m): channel c gives c m, ..., c m + m - 1."""
    parts = [
        slow_valid_conv(x[..., c : c + 1], kernel[:, :, c : c + 1, :])
        for c in range(kernel.shape[2])
    ]
    return np.concatenate(parts, axis=2)


def around(*layers: Conv2d | SeparableConv2d | BatchNorm) -> Architecture:
    head = Head(layers=(Flatten("flat"), Dense("top", 2)))
    return Architecture(name="around", input_shape=SHAPE, layers=layers, heads=(head,))


def keras_top(maps: FloatArray, kernel: FloatArray, bias: FloatArray) -> FloatArray:
    """Keras flattens rows, columns, channels."""
    return maps.reshape(-1) @ kernel + bias


def test_keras_convolution_and_dense_after_flatten() -> None:
    kernel, bias = drawn(3, 3, 3, 4), drawn(4)
    top, top_bias = drawn(3 * 2 * 4, 2), drawn(2)
    foreign = {
        "conv/kernel": kernel, "conv/bias": bias, "top/kernel": top, "top/bias": top_bias
    }  # fmt: skip
    expected = keras_top(slow_valid_conv(image(), kernel) + bias, top, top_bias)
    found = ours(around(Conv2d("conv", 4)), foreign, KERAS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_dense_layer_after_another_is_only_turned() -> None:
    first, second = drawn(60, 7), drawn(7, 2)
    foreign = {"one/kernel": first, "top/kernel": second}
    head = Head(layers=(Flatten("f"), Dense("one", 7, bias=False), Dense("top", 2, bias=False)))
    net = Architecture(name="dense", input_shape=SHAPE, layers=(), heads=(head,))
    expected = image().reshape(-1) @ first @ second
    np.testing.assert_allclose(ours(net, foreign, KERAS), expected, rtol=1e-12)


def test_keras_depthwise_kernels_with_one_and_with_several_filters_a_channel() -> None:
    for times in (1, 2):
        kernel = drawn(3, 3, 3, times)
        top, top_bias = drawn(6 * 3 * times, 2), drawn(2)
        net = around(Conv2d("dw", 3 * times, groups=3, bias=False))
        for spelling in ("kernel", "depthwise_kernel"):
            foreign = {f"dw/{spelling}": kernel, "top/kernel": top, "top/bias": top_bias}
            expected = keras_top(slow_depthwise(image(), kernel), top, top_bias)
            np.testing.assert_allclose(ours(net, foreign, KERAS), expected, rtol=1e-12)


def test_keras_separable_convolution() -> None:
    depth, point = drawn(3, 3, 3, 1), drawn(1, 1, 3, 5)
    top, top_bias = drawn(6 * 5, 2), drawn(2)
    foreign = {
        "sep/depthwise_kernel": depth, "sep/pointwise_kernel": point,
        "top/kernel": top, "top/bias": top_bias,
    }  # fmt: skip
    maps = slow_valid_conv(slow_depthwise(image(), depth), point)
    net = around(SeparableConv2d("sep", 5, bias=False))
    expected = keras_top(maps, top, top_bias)
    np.testing.assert_allclose(ours(net, foreign, KERAS), expected, rtol=1e-12)


def test_keras_batch_norm() -> None:
    gamma, beta, mean, variance = drawn(3), drawn(3) + 1, drawn(3) - 1, np.array([0.5, 1, 2])
    top, top_bias = drawn(60, 2), drawn(2)
    foreign = {
        "bn/gamma": gamma, "bn/beta": beta, "bn/moving_mean": mean,
        "bn/moving_variance": variance, "top/kernel": top, "top/bias": top_bias,
    }  # fmt: skip
    maps = (image() - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    expected = keras_top(maps, top, top_bias)
    found = ours(around(BatchNorm("bn", eps=1e-3)), foreign, KERAS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_tensorflow_lite_convolutions_and_its_background_class() -> None:
    kernel, depth = drawn(4, 3, 3, 3), drawn(1, 3, 3, 4)  # (F, k, k, C) and (1, k, k, C)
    bias, depth_bias = drawn(4), drawn(4) + 1
    top, top_bias = drawn(3, 1, 1, 4), drawn(3)
    foreign = {
        "a.weight": kernel, "a.bias": bias, "b.weight": depth, "b.bias": depth_bias,
        "top.weight": top, "top.bias": top_bias,
    }  # fmt: skip
    layers = (Conv2d("a", 4), Conv2d("b", 4, kernel_size=3, groups=4, padding=1))
    head = Head(layers=(Flatten("flat"), Dense("top", 2)))
    net = Architecture(name="lite", input_shape=(3, 3, 3), layers=layers, heads=(head,))
    square = generator(4, "square").normal(size=(3, 3, 3))
    one = (square * kernel).sum(axis=(1, 2, 3)) + bias  # (F,): one place
    two = one * depth[0, 1, 1] + depth_bias  # around it there is padding
    expected = (top[:, 0, 0] @ two + top_bias)[1:]
    parameters = {s.name: TFLITE.arrange(foreign[s.name], s) for s in slots(net)}
    network = engines.build(net, engine="numpy", parameters=parameters, precision="float64")
    found = network.logits(square.transpose(2, 0, 1)[None])["class"][0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_dense_layer_that_timm_writes_as_a_convolution_over_whole_maps() -> None:
    kernel, bias = drawn(2, 3, 5, 4), drawn(2)
    expected = (drawn(1, *SHAPE) * kernel).sum(axis=(1, 2, 3)) + bias
    foreign = {"top.weight": kernel, "top.bias": bias}
    np.testing.assert_allclose(ours(around(), foreign, TORCH), expected, rtol=1e-12)

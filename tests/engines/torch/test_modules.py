"""Each layer against its definition, computed one output value at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np
import pytest

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool2d,
    SeparableConv2d,
)
from convoscope.architecture.protocol import ActivationName, Shape
from convoscope.arrays import Array
from convoscope.engines.torch.modules import ACTIVATIONS
from convoscope.engines.torch.network import TorchNetwork
from convoscope.network import Channel, Neuron, Target

Parameters = Mapping[str, Array]

FUNCTIONS: dict[ActivationName, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}

CONVOLUTIONS: list[AnyLayer] = [
    Conv2d("layer", 4),
    Conv2d("layer", 4, kernel_size=1, bias=False),
    Conv2d("layer", 4, padding=2, stride=2, activation="relu"),
    Conv2d("layer", 4, padding="same", stride=2, activation="tanh"),
    Conv2d("layer", 4, padding="same", stride=3, kernel_size=4),
    Conv2d("layer", 4, padding="same", kernel_size=2),
    Conv2d("layer", 4, padding="valid", dilation=2),
    Conv2d("layer", 6, padding="same", dilation=2, groups=2),
    Conv2d("layer", 4, padding=1, groups=2, stride=2),
]
SEPARABLE: list[AnyLayer] = [
    SeparableConv2d("layer", 5, padding="same", stride=2, activation="relu"),
    SeparableConv2d("layer", 3, padding=2, dilation=2, bias=False),
]
POOLS: list[AnyLayer] = [
    pool("layer", **options)
    for pool in (MaxPool2d, AvgPool2d)
    for options in (
        {},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"kernel_size": 2, "stride": 2, "ceil_mode": True},
        {"kernel_size": 2, "stride": 1, "padding": "same"},
        {"kernel_size": 3, "stride": 2, "padding": "same"},
        {"kernel_size": 4, "stride": 3, "padding": "same"},
        {"kernel_size": 1, "stride": 3, "padding": "same"},
    )
]
OTHERS: list[AnyLayer] = [
    GlobalMaxPool("layer"),
    GlobalAvgPool("layer"),
    BatchNorm("layer", eps=1e-3),
    Flatten("layer"),
    Dropout("layer", 0.5),
    *(Activation("layer", function) for function in FUNCTIONS),
]
EVERY_LAYER = [*CONVOLUTIONS, *SEPARABLE, *POOLS, *OTHERS]


def describe(layer: AnyLayer) -> str:
    """The layer's kind, and those of its fields that are not as they usually are."""
    said = {f.name: getattr(layer, f.name) for f in fields(layer)}
    usual = {f.name: f.default for f in fields(layer)}
    return " ".join(
        [layer.kind, *(f"{n}={v}" for n, v in said.items() if v != usual[n] and n != "name")]
    )


def test_every_activation_is_defined_here() -> None:
    assert set(ACTIVATIONS) == set(FUNCTIONS)


@pytest.mark.parametrize("layer", EVERY_LAYER, ids=describe)
@pytest.mark.parametrize("input_shape", [(2, 7, 6), (4, 8, 9)], ids=str)
def test_a_layer_computes_its_definition(
    layer: AnyLayer,
    input_shape: Shape,
    make_network: Callable[..., TorchNetwork],
    make_images: Callable[..., Array],
) -> None:
    network = shaken(make_network(layer, input_shape=input_shape))
    images = 4 * make_images(2, input_shape) - 2  # the engine takes any finite float
    expected = slow(layer, images, network.parameters())

    with network.trace(images, layers=["layer"]) as trace:
        got = trace.activations["layer"]

    assert got.shape[1:] == layer.output_shape(input_shape)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", EVERY_LAYER, ids=describe)
def test_a_gradient_agrees_with_finite_differences(
    layer: AnyLayer, make_network: Callable[..., TorchNetwork], make_images: Callable[..., Array]
) -> None:
    network = shaken(make_network(layer))
    images = 4 * make_images(1, (2, 7, 6)) - 2
    last = layer.output_shape((2, 7, 6))[0] - 1
    row = min(1, len(layer.output_shape((2, 7, 6))) - 1)
    targets: list[Target] = [Channel("layer", 0), Neuron("layer", row, row, last)]

    with network.trace(images, layers=["layer"]) as trace:
        got = trace.gradient(targets)

    cells = list(itertools.product(range(2), range(0, 7, 2), range(0, 6, 2)))
    steps = np.zeros((len(cells), 2, 7, 6))
    for i, cell in enumerate(cells):
        steps[(i, *cell)] = 1e-6
    with network.trace(np.concatenate([images + steps, images - steps]), layers=["layer"]) as trace:
        maps = trace.activations["layer"]
    last_cell = maps[:, last, row, row] if maps.ndim == 4 else maps[:, last]
    values = np.stack([maps[:, 0].reshape(len(maps), -1).mean(axis=1), last_cell])
    slopes = (values[:, : len(cells)] - values[:, len(cells) :]) / 2e-6
    for i, cell in enumerate(cells):
        np.testing.assert_allclose(got[(slice(None), 0, *cell)], slopes[:, i], 1e-5, 1e-8)


def test_dense_is_a_product_and_a_sum(make_network: Callable[..., TorchNetwork]) -> None:
    dense = Dense("dense", 2, activation="relu")
    network = make_network(Flatten("flat"), dense, input_shape=(1, 1, 3)).with_parameters(
        {"dense.weight": np.array([[1.0, 2, 3], [-1, -1, -1]]), "dense.bias": np.array([10.0, 0])}
    )
    with network.trace(np.array([[[[1.0, 1, 2]]]]), layers=["dense"]) as trace:
        np.testing.assert_array_equal(trace.activations["dense"], [[19.0, 0.0]])


def test_a_residual_adds_its_shortcut_and_activates_the_sum(
    make_network: Callable[..., TorchNetwork], make_images: Callable[..., Array]
) -> None:
    body = Conv2d("body", 2, padding=1)
    layers = (
        Residual("plain", (body,)),
        Residual(
            "join",
            (Conv2d("body2", 3, stride=2),),
            shortcut=(Conv2d("short", 3, stride=2),),
            activation="relu",
        ),
    )
    network = make_network(*layers)
    images = make_images(2, (2, 7, 6))
    names = ["body", "plain", "body2", "short", "join"]
    with network.trace(images, layers=names) as trace:
        maps = trace.activations

    np.testing.assert_allclose(maps["plain"], maps["body"] + images)
    np.testing.assert_allclose(maps["join"], np.maximum(maps["body2"] + maps["short"], 0))
    np.testing.assert_allclose(
        maps["body2"], slow(layers[1].body[0], maps["plain"], renamed(network, "body2"))
    )


def test_parallel_branches_are_concatenated_in_their_order(
    make_network: Callable[..., TorchNetwork], make_images: Callable[..., Array]
) -> None:
    branches = (
        (Conv2d("a", 3, padding=1),),
        (),
        (MaxPool2d("b", kernel_size=3, stride=1, padding=1),),
    )
    network = make_network(Parallel("join", branches))
    images = make_images(2, (2, 7, 6))
    with network.trace(images, layers=["a", "b", "join"]) as trace:
        maps = trace.activations
    expected = np.concatenate([maps["a"], images, maps["b"]], axis=1)
    np.testing.assert_array_equal(maps["join"], expected)


def test_of_equal_maxima_the_first_gets_the_gradient(
    make_network: Callable[..., TorchNetwork],
) -> None:
    images = np.zeros((1, 2, 4, 4))
    expected = np.zeros((2, 4, 4))
    expected[0, 0, 0] = 1
    for layer in (GlobalMaxPool("pool"), MaxPool2d("pool", kernel_size=4)):
        network = make_network(layer, input_shape=(2, 4, 4))
        with network.trace(images, layers=["pool"]) as trace:
            got = trace.gradient([Neuron("pool", 0, 0, 0)])[0, 0]
        np.testing.assert_array_equal(got, expected)


def shaken(network: TorchNetwork) -> TorchNetwork:
    """The network with parameters of its own at every place, biases and variances too."""
    rng = np.random.default_rng(1)
    return network.with_parameters(
        {name: rng.uniform(0.5, 1.5, a.shape) for name, a in network.parameters().items()}
    )


def renamed(network: TorchNetwork, layer: str) -> Parameters:
    return {
        "layer." + name.partition(".")[2]: a
        for name, a in network.parameters().items()
        if name.startswith(f"{layer}.")
    }


def slow(layer: AnyLayer, x: Array, parameters: Parameters) -> Array:
    """The definition of a layer, in plain loops."""
    own = {name.partition(".")[2]: array for name, array in parameters.items()}
    match layer:
        case Conv2d():
            return slow_conv(layer, x, own["weight"], own.get("bias"), layer.groups)
        case SeparableConv2d():
            plain = Conv2d(
                "depthwise",
                x.shape[1],
                kernel_size=layer.kernel_size,
                stride=layer.stride,
                padding=layer.padding,
                dilation=layer.dilation,
            )
            maps = slow_conv(plain, x, own["depthwise"], None, x.shape[1])
            mix = Conv2d("pointwise", layer.filters, kernel_size=1, activation=layer.activation)
            return slow_conv(mix, maps, own["pointwise"], own.get("bias"), 1)
        case MaxPool2d():
            return slow_pool(layer, x, max)
        case AvgPool2d():
            return slow_pool(layer, x, lambda values: sum(values) / len(values))
        case GlobalMaxPool():
            return np.array([[channel.max() for channel in image] for image in x])
        case GlobalAvgPool():
            return np.array([[channel.sum() / channel.size for channel in image] for image in x])
        case BatchNorm():
            column = {name: array.reshape(-1, 1, 1) for name, array in own.items()}
            sd = np.sqrt(column["running_var"] + layer.eps)
            normal: Array = (x - column["running_mean"]) / sd
            scaled: Array = normal * column["weight"] + column["bias"]
            return scaled
        case Activation():
            return np.array([FUNCTIONS[layer.function](v) for v in x.flat]).reshape(x.shape)
        case Flatten():
            return np.array([[v for c in image for row in c for v in row] for image in x])
        case _:
            return x


def slow_conv(layer: Conv2d, x: Array, weight: Array, bias: Array | None, groups: int) -> Array:
    filters, inputs, k, _ = weight.shape
    out = np.zeros((len(x), *layer.output_shape(x.shape[1:])))
    top, left = layer.window(x.shape[1:]).before
    act = FUNCTIONS[layer.activation] if layer.activation else float
    for n, f, i, j in np.ndindex(*out.shape):
        total = 0.0 if bias is None else float(bias[f])
        first = f // (filters // groups) * inputs
        for c, a, b in np.ndindex(inputs, k, k):
            row = i * layer.stride - top + a * layer.dilation
            column = j * layer.stride - left + b * layer.dilation
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                total += weight[f, c, a, b] * x[n, first + c, row, column]
        out[n, f, i, j] = act(total)
    return out


def slow_pool(
    layer: MaxPool2d | AvgPool2d, x: Array, reduce: Callable[[list[float]], float]
) -> Array:
    """Only pixels inside the map count, wherever the window reaches."""
    out = np.zeros((len(x), *layer.output_shape(x.shape[1:])))
    top, left = layer.window(x.shape[1:]).before
    stride, k = layer.stride or layer.kernel_size, layer.kernel_size
    for n, c, i, j in np.ndindex(*out.shape):
        rows = range(i * stride - top, i * stride - top + k)
        columns = range(j * stride - left, j * stride - left + k)
        out[n, c, i, j] = reduce(
            [
                x[n, c, row, column]
                for row in rows
                for column in columns
                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
            ]
        )
    return out

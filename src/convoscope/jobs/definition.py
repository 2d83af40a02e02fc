"""The arithmetic of one output cell of one filter, by the definition, one number at a time.

Nothing of the engines is used here: what a layer was given and its parameters go in, and every
number that meets in the cell comes out, in float64. It is the slow way that the engines must
agree with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from convoscope.architecture.graph import Place
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
from convoscope.architecture.windows import Window
from convoscope.arrays import Array, FloatArray
from convoscope.errors import SettingsError
from convoscope.jobs.cell import Cell, CellArithmetic

Pixel: TypeAlias = tuple[int, int, int]

_LEAKY_SLOPE = 0.01
_SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)

ACTIVATIONS: Mapping[ActivationName, Callable[[float], float]] = {
    "relu": lambda x: max(0.0, x),
    "relu6": lambda x: min(max(0.0, x), 6.0),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: _SELU[1] * (x if x > 0 else _SELU[0] * math.expm1(x)),
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "silu": lambda x: x * _sigmoid(x),
    "leaky_relu": lambda x: x if x > 0 else _LEAKY_SLOPE * x,
    "tanh": math.tanh,
    "sigmoid": lambda x: _sigmoid(x),
}


def write_out(
    cell: Cell, place: Place, given: FloatArray, parameters: Mapping[str, FloatArray]
) -> CellArithmetic:
    """The cell's arithmetic.

    ``given`` is what the layer was given, (C, H, W) or (K,); ``parameters`` are the network's.

    Raises:
        SettingsError: if the layer has no such cell, or joins others.
    """
    check_cell(cell, place)
    x = np.asarray(given, dtype=np.float64)
    prefix = f"{cell.layer}."
    own = {
        name.removeprefix(prefix): np.asarray(values, dtype=np.float64)
        for name, values in parameters.items()
        if name.startswith(prefix)
    }
    match place.layer:
        case Conv2d() as layer:
            return _conv(layer, cell, x, own)
        case SeparableConv2d() as layer:
            return _separable(layer, cell, x, own)
        case Dense() as layer:
            return _dense(layer, cell, x, own)
        case BatchNorm() as layer:
            return _batch_norm(layer, cell, x, own)
        case MaxPool2d() | AvgPool2d() as layer:
            return _pooled(cell, layer.kind, x, _seen(layer, cell, x.shape))
        case GlobalMaxPool() | GlobalAvgPool() as layer:
            everywhere = [(i, j, cell.filter) for i in range(x.shape[1]) for j in range(x.shape[2])]
            return _pooled(cell, layer.kind, x, everywhere)
        case Activation() | Dropout() | Flatten() as layer:
            return _passed_on(layer, cell, x)
        case _:
            raise TypeError(f"{place.layer.kind} joins other layers")


def check_cell(cell: Cell, place: Place) -> None:
    """Nothing, if the layer has that cell and its arithmetic is its own.

    Raises:
        SettingsError: if the cell lies outside the output, or the layer joins others.
    """
    if not isinstance(place.layer, _WRITTEN):
        raise SettingsError(
            f"--cell {cell}: the arithmetic of one layer is written out, and {place.layer.kind} "
            f"{cell.layer!r} is made of other layers: name one of those inside it"
        )
    channels, *size = place.output_shape
    height, width = size or (1, 1)
    if not (cell.filter < channels and cell.row < height and cell.column < width):
        counts = (
            f"rows 0 to {height - 1}, columns 0 to {width - 1} and filters" if size else "units"
        )
        raise SettingsError(
            f"--cell {cell}: the cell must lie in the output of {cell.layer!r}, which has {counts} "
            f"0 to {channels - 1}: choose one of them"
        )


_WRITTEN = (
    Conv2d
    | SeparableConv2d
    | Dense
    | BatchNorm
    | MaxPool2d
    | AvgPool2d
    | GlobalMaxPool
    | GlobalAvgPool
    | Activation
    | Dropout
    | Flatten
)


def _conv(layer: Conv2d, cell: Cell, x: Array, own: Mapping[str, Array]) -> CellArithmetic:
    weight = own["weight"]  # (F, C / groups, k, k)
    share, k = weight.shape[1], layer.kernel_size
    first = cell.filter // (layer.filters // layer.groups) * share
    pixels, values, weights = [], [], []
    for a, b in _kernel(k):
        row, column = _met(layer.window(x.shape), cell, a, b)
        for c in range(share):
            pixels.append((row, column, first + c))
            values.append(_value(x, pixels[-1]))
            weights.append(float(weight[cell.filter, c, a, b]))
    patch, bias = (k, k, share), _bias(own, cell)
    return _weighed(cell, layer.kind, pixels, values, weights, bias, layer.activation, patch=patch)


def _separable(
    layer: SeparableConv2d, cell: Cell, x: Array, own: Mapping[str, Array]
) -> CellArithmetic:
    """The terms are the channels, each of which has been weighed by its own kernel before."""
    depthwise, pointwise = own["depthwise"], own["pointwise"]
    view, pixels, values, weights = layer.window(x.shape), [], [], []
    for c in range(len(x)):
        terms = [
            _value(x, (*_met(view, cell, a, b), c)) * float(depthwise[c, 0, a, b])
            for a, b in _kernel(layer.kernel_size)
        ]
        pixels.append((*_met(view, cell, 0, 0), c))
        values.append(_sum(terms))
        weights.append(float(pointwise[cell.filter, c, 0, 0]))
    k = layer.kernel_size
    note = (
        f"each value is a channel's own {k}x{k} kernel over its {k}x{k} pixels from the place "
        "named on, summed"
    )
    bias = _bias(own, cell)
    return _weighed(cell, layer.kind, pixels, values, weights, bias, layer.activation, note=note)


def _dense(layer: Dense, cell: Cell, x: Array, own: Mapping[str, Array]) -> CellArithmetic:
    pixels = [(0, 0, unit) for unit in range(len(x))]
    weights = own["weight"][cell.filter]
    return _weighed(cell, layer.kind, pixels, x, weights, _bias(own, cell), layer.activation)


def _batch_norm(layer: BatchNorm, cell: Cell, x: Array, own: Mapping[str, Array]) -> CellArithmetic:
    weight, bias, mean, variance = (
        float(own[name][cell.filter]) for name in ("weight", "bias", "running_mean", "running_var")
    )
    deviation = math.sqrt(variance + layer.eps)
    pixel = (cell.row, cell.column, cell.filter)
    normal = (_value(x, pixel) - mean) / deviation
    note = (
        f"the value is (x - mean) / sqrt(variance + eps) = ({_value(x, pixel):.6g} - {mean:.6g}) / "
        f"{deviation:.6g}"
    )
    return _weighed(cell, layer.kind, [pixel], [normal], [weight], bias, None, note=note)


def _pooled(cell: Cell, kind: str, x: Array, pixels: list[Pixel]) -> CellArithmetic:
    values = [_value(x, pixel) for pixel in pixels]
    is_mean = "avg" in kind
    joined = _sum(values) / len(values) if is_mean else max(values)
    return CellArithmetic(
        cell=cell,
        kind=kind,
        pixels=np.array(pixels, dtype=np.int64),
        values=np.array(values),
        weights=None,
        joining="mean" if is_mean else "largest",
        joined=joined,
        output=joined,
    )


def _passed_on(layer: Activation | Dropout | Flatten, cell: Cell, x: Array) -> CellArithmetic:
    pixel = (cell.row, cell.column, cell.filter)
    if isinstance(layer, Flatten) and x.ndim == 3:
        channel, row, column = np.unravel_index(cell.filter, x.shape)
        pixel = (int(row), int(column), int(channel))
    value = _value(x, pixel)
    activation = layer.function if isinstance(layer, Activation) else None
    return CellArithmetic(
        cell=cell,
        kind=layer.kind,
        pixels=np.array([pixel], dtype=np.int64),
        values=np.array([value]),
        weights=None,
        joining="sum",
        joined=value,
        activation=activation,
        output=ACTIVATIONS[activation](value) if activation else value,
        note="" if activation else "the value is passed on as it is",
    )


def _weighed(
    cell: Cell,
    kind: str,
    pixels: Sequence[Pixel],
    values: Sequence[float] | FloatArray,
    weights: Sequence[float] | FloatArray,
    bias: float | None,
    activation: ActivationName | None,
    *,
    patch: tuple[int, int, int] | None = None,
    note: str = "",
) -> CellArithmetic:
    """The sum of the products, plus the bias, through the activation."""
    joined = _sum([float(v) * float(w) for v, w in zip(values, weights, strict=True)])
    before = joined + (bias or 0.0)
    return CellArithmetic(
        cell=cell,
        kind=kind,
        pixels=np.array(pixels, dtype=np.int64),
        values=np.array(values),
        weights=np.array(weights),
        joining="sum",
        joined=joined,
        bias=bias,
        activation=activation,
        output=ACTIVATIONS[activation](before) if activation else before,
        patch=patch,
        note=note,
    )


def _sum(numbers: Sequence[float]) -> float:
    """The sum as if rounded once, so that no order of adding is preferred."""
    is_finite = all(map(math.isfinite, numbers))
    return math.fsum(numbers) if is_finite else sum(numbers)


def _seen(layer: MaxPool2d | AvgPool2d, cell: Cell, shape: Shape) -> list[Pixel]:
    """The pixels of the cell's window that lie inside the map."""
    met = [_met(layer.window(shape), cell, a, b) for a, b in _kernel(layer.kernel_size)]
    pixels = [(*pixel, cell.filter) for pixel in met]
    return [pixel for pixel in pixels if _is_inside(pixel, shape)]


def _is_inside(pixel: Pixel, shape: Shape) -> bool:
    return 0 <= pixel[0] < shape[1] and 0 <= pixel[1] < shape[2]


def _kernel(kernel_size: int) -> Iterator[tuple[int, int]]:
    return ((a, b) for a in range(kernel_size) for b in range(kernel_size))


def _met(view: Window, cell: Cell, a: int, b: int) -> tuple[int, int]:
    """The pixel that the kernel's value (a, b) meets in the cell's window."""
    return (
        cell.row * view.stride[0] - view.before[0] + a * view.dilation,
        cell.column * view.stride[1] - view.before[1] + b * view.dilation,
    )


def _value(x: Array, pixel: Pixel) -> float:
    """The input there; padding is 0, and a vector's units are channels."""
    row, column, channel = pixel
    if x.ndim == 1:
        return float(x[channel])
    return float(x[channel, row, column]) if _is_inside(pixel, x.shape) else 0.0


def _bias(own: Mapping[str, Array], cell: Cell) -> float | None:
    return float(own["bias"][cell.filter]) if "bias" in own else None


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))

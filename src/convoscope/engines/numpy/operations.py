"""What a layer of the vocabulary computes, as an operation on maps (N, H, W, C).

This is where names meet arithmetic: a layer's fields and its named parameters, laid out as
PyTorch lays them out, become the arguments of a function of :mod:`.functional`; the gradients
of these arguments become ``{"layer.parameter": gradient}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from convoscope.architecture.branches import Adopted, AnyLayer
from convoscope.architecture.graph import Architecture, Place, walk
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
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.numpy import functional
from convoscope.engines.numpy.composition import (
    Back,
    Gradients,
    Operation,
    activated,
    chained,
    named,
    plain,
)
from convoscope.engines.numpy.functional import Backward, Sliding
from convoscope.engines.numpy.journey import Journey
from convoscope.errors import ArchitectureError

Drop: TypeAlias = Callable[[str, Shape, float], Array]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pass:
    """One forward pass: what it computes with, and what it leaves.

    ``learning`` names the parameters that learn; without any, the network is evaluated.
    ``drop`` gives a dropout layer the mask of the values it keeps. The pass leaves the outputs of
    the ``remembered`` layers in ``kept``, and in ``statistics`` the running statistics as they
    are after it. Without ``returns`` there will be no way back, and nothing is kept for one.
    """

    parameters: Mapping[str, FloatArray]
    places: Mapping[str, Place]
    dtype: DTypeLike
    learning: frozenset[str] = frozenset()
    remembered: frozenset[str] = frozenset()
    drop: Drop | None = None
    returns: bool = True
    is_block: bool = False
    kept: dict[str, Array] = field(default_factory=dict)
    statistics: dict[str, Array] = field(default_factory=dict)

    def learns(self, layer: AnyLayer) -> bool:
        """Whether a parameter of the layer's own learns."""
        shapes = layer.parameter_shapes(self.places[layer.name].input_shape)
        return any(f"{layer.name}.{parameter}" in self.learning for parameter in shapes)

    def parameter(self, layer: AnyLayer, name: str) -> FloatArray | None:
        """The layer's parameter of that name, ``None`` for a bias that it does without."""
        return self.parameters.get(f"{layer.name}.{name}")

    def required(self, layer: AnyLayer, name: str) -> FloatArray:
        """The layer's parameter of that name, which it cannot do without."""
        return self.parameters[f"{layer.name}.{name}"]


def layer_operation(layer: AnyLayer, forward: Pass) -> Operation:
    """What a layer that holds no other layers computes."""
    match layer:
        case Conv2d():
            return _conv(layer, forward)
        case SeparableConv2d():
            return _separable_conv(layer, forward)
        case Dense():
            return _dense(layer, forward)
        case BatchNorm():
            return _batch_norm(layer, forward)
        case MaxPool2d() | AvgPool2d():
            pool = functional.max_pool2d if isinstance(layer, MaxPool2d) else functional.avg_pool2d
            sliding = _sliding(layer, forward.places[layer.name])
            return plain(lambda maps: pool(maps, sliding))
        case GlobalMaxPool():
            return plain(functional.global_max_pool)
        case GlobalAvgPool():
            return plain(functional.global_avg_pool)
        case Flatten():
            return plain(lambda x: functional.flatten(x) if x.ndim == 4 else _unchanged(x))
        case Activation():
            return plain(functional.ACTIVATIONS[layer.function])
        case Dropout():
            return _dropout(layer, forward)
        case _:
            raise TypeError(f"{layer.kind} is no layer of its own")


def check_computed(architecture: Architecture) -> None:
    """Nothing, if this engine computes every layer.

    Raises:
        ArchitectureError: if a layer is a network adopted from elsewhere.
    """
    for place in walk(architecture):
        if isinstance(place.layer, Adopted):
            raise ArchitectureError(
                f"layer {place.layer.name!r}: engine 'numpy' computes the layers of the "
                f"vocabulary, got a network adopted from {place.layer.source}: use engine='torch'"
            )


def image_operation(preprocessing: Preprocessing, dtype: DTypeLike) -> Operation:
    """Images (N, C, H, W), uint8 or float, to maps (N, H, W, C): ``(v - mean) / sd``."""
    mean, sd = (np.asarray(v, dtype=dtype) for v in (preprocessing.mean, preprocessing.sd))
    step = -1 if preprocessing.order == "bgr" else 1

    def run(images: Array) -> tuple[Array, Back]:
        maps = images.transpose(0, 2, 3, 1)[..., ::step].astype(dtype, order="C")
        if images.dtype == np.uint8:
            maps /= 255
        if mean.any():
            maps -= mean
        if (sd != 1).any():
            maps /= sd
        return maps, backward

    def backward(grad: Array | None, journey: Journey) -> tuple[Array | None, Gradients]:
        if grad is None or not journey.inputs:
            return None, {}
        return (grad / sd)[..., ::step].transpose(0, 3, 1, 2), {}

    return Operation(run)


def _conv(layer: Conv2d, forward: Pass) -> Operation:
    place = forward.places[layer.name]
    kernel, bias = _to_kernel(forward.required(layer, "weight")), forward.parameter(layer, "bias")
    sliding, groups = _sliding(layer, place), layer.groups

    def convolution(maps: Array) -> tuple[Array, Backward]:
        if groups == 1:
            return functional.conv2d(maps, kernel, bias, sliding)
        if groups == maps.shape[3]:
            return functional.depthwise_conv2d(maps, kernel, bias, sliding)
        return functional.grouped_conv2d(maps, kernel, bias, sliding, groups)

    return activated(_learning(convolution, layer, forward, "weight", "bias"), layer.activation)


def _separable_conv(layer: SeparableConv2d, forward: Pass) -> Operation:
    place = forward.places[layer.name]
    sliding, point = _sliding(layer, place), Sliding(kernel_size=1, count=_count(place))
    depthwise = _to_kernel(forward.required(layer, "depthwise"))
    pointwise = _to_kernel(forward.required(layer, "pointwise"))
    bias = forward.parameter(layer, "bias")
    by_channel = _learning(
        lambda maps: functional.depthwise_conv2d(maps, depthwise, None, sliding),
        layer,
        forward,
        "depthwise",
    )
    mix = _learning(
        lambda maps: functional.conv2d(maps, pointwise, bias, point),
        layer,
        forward,
        "pointwise",
        "bias",
    )
    return activated(chained([by_channel, mix]), layer.activation)


def _dense(layer: Dense, forward: Pass) -> Operation:
    weight, bias = forward.required(layer, "weight"), forward.parameter(layer, "bias")
    operation = _learning(
        lambda vectors: functional.dense(vectors, weight, bias), layer, forward, "weight", "bias"
    )
    return activated(operation, layer.activation)


def _batch_norm(layer: BatchNorm, forward: Pass) -> Operation:
    weight, bias = forward.required(layer, "weight"), forward.required(layer, "bias")
    running = [forward.required(layer, name) for name in ("running_mean", "running_var")]

    def learning(x: Array) -> tuple[Array, Backward]:
        mean, variance = functional.batch_statistics(x)
        count = x.size // x.shape[-1]
        batch = (mean, variance * (count / max(1, count - 1)))  # the running variance is unbiased
        for name, old, new in zip(("running_mean", "running_var"), running, batch, strict=True):
            share = layer.momentum
            forward.statistics[f"{layer.name}.{name}"] = (1 - share) * old + share * new
        return functional.batch_norm(x, weight, bias, (mean, variance), layer.eps)

    def fixed(x: Array) -> tuple[Array, Backward]:
        return functional.fixed_norm(x, weight, bias, (running[0], running[1]), layer.eps)

    operation = learning if forward.learns(layer) else fixed
    return _learning(operation, layer, forward, "weight", "bias")


def _dropout(layer: Dropout, forward: Pass) -> Operation:
    drop = forward.drop
    if drop is None or layer.rate == 0:
        return plain(_unchanged)

    def run(x: Array) -> tuple[Array, Backward]:
        shape = (len(x), *forward.places[layer.name].output_shape)
        kept = drop(layer.name, shape, layer.rate)
        inside = kept.transpose(0, 2, 3, 1) if x.ndim == 4 else kept
        return functional.dropout(x, inside, layer.rate)

    return plain(run)


def _learning(
    function: Callable[[Array], tuple[Array, Backward]],
    layer: AnyLayer,
    forward: Pass,
    *parameters: str,
) -> Operation:
    """The function, whose arguments after the first are these parameters of the layer."""
    names = [f"{layer.name}.{parameter}" for parameter in parameters]
    return named(function, names, forward.learning)


def _unchanged(x: Array) -> tuple[Array, Backward]:
    return x, lambda grad, way=functional.PLAIN: (grad,)


def _sliding(layer: Conv2d | SeparableConv2d | MaxPool2d | AvgPool2d, place: Place) -> Sliding:
    view = layer.window(place.input_shape)
    return Sliding(
        kernel_size=layer.kernel_size,
        count=_count(place),
        stride=view.stride[0],
        dilation=1 if isinstance(layer, MaxPool2d | AvgPool2d) else layer.dilation,
        before=view.before,
    )


def _count(place: Place) -> tuple[int, int]:
    return place.output_shape[1], place.output_shape[2]


def _to_kernel(weight: FloatArray) -> FloatArray:
    """(F, C, k, k), as at the waist, to (k, k, C, F), as a matrix product wants it."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0))

"""Networks made small: SqueezeNet and MobileNetV2."""

from __future__ import annotations

from typing import Literal

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    Dense,
    GlobalAvgPool,
    MaxPool2d,
)
from convoscope.architecture.protocol import Shape
from convoscope.architecture.windows import Padding
from convoscope.errors import SettingsError

NormName = Literal["keras", "torch", "folded"]

_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
_POOLED_FIRES = (4, 8)
# Per stage: how many times wider inside, filters, blocks, stride of the first. Table 2.
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


def squeezenet1_0(input_shape: Shape, *, final_padding: int = 0) -> Architecture:
    """SqueezeNet 1.0: fire modules, which squeeze to few channels and expand by 1x1 and 3x3.

    ``final_padding`` is that of the last, 1x1 convolution: 0 in torchvision, 1 in the authors'
    Caffe file, where it puts the biases around the maps and so into their mean.

    Source: Iandola et al. 2016, https://arxiv.org/abs/1602.07360. Poolings keep a last window that
    sticks out, as Caffe's do. The paper's dropout before the last convolution is left out.
    """
    layers: list[AnyLayer] = [
        Conv2d("conv1", 96, kernel_size=7, stride=2, activation="relu"),
        MaxPool2d("pool1", kernel_size=3, stride=2, ceil_mode=True),
    ]
    for number, (squeezed, expanded) in enumerate(_FIRES, 2):
        layers += _fire(f"fire{number}", squeezed, expanded)
        if number in _POOLED_FIRES:
            layers.append(MaxPool2d(f"pool{number}", kernel_size=3, stride=2, ceil_mode=True))
    top = (
        Conv2d("conv10", 1000, kernel_size=1, padding=final_padding, activation="relu"),
        GlobalAvgPool("pool10"),
    )
    return Architecture(
        name="squeezenet1_0",
        input_shape=input_shape,
        layers=tuple(layers),
        heads=(Head(layers=top),),
    )


def mobilenet_v2(
    input_shape: Shape, *, width: float = 1.0, norm: NormName = "keras"
) -> Architecture:
    """MobileNetV2: narrow maps, widened inside each residual block; layers named as Keras names
    them.

    ``width`` multiplies every number of filters, to a multiple of 8. ``norm`` says whose rendering
    it is: ``"keras"`` pads as TensorFlow does and has an eps of 0.001 in its batch norms,
    ``"torch"`` pads alike on all sides and has PyTorch's eps, ``"folded"`` is Keras' with each
    batch norm multiplied into the convolution before it, as it is when it leaves for a phone.

    Source: Sandler et al. 2018, https://arxiv.org/abs/1801.04381. The dropout before the last
    layer is left out.

    Raises:
        SettingsError: if ``width`` is not between 0 and 10.
    """
    if not 0 < width <= 10:
        raise SettingsError(f"width must be above 0 and at most 10, got {width}: 1 is the paper's")
    filters = _multiple_of_8(32 * width)
    layers = [*_unit("Conv1", filters, norm, kernel_size=3, stride=2, activation="Conv1_relu")]
    number = 0
    for widening, base, count, stride in _STAGES:
        for i in range(count):
            out, step = _multiple_of_8(base * width), stride if i == 0 else 1
            prefix = f"block_{number}_" if number else "expanded_conv_"
            body = _inverted(prefix, filters, widening, out, step, norm)
            layers += [Residual(f"{prefix}add", body)] if (step, filters) == (1, out) else body
            filters, number = out, number + 1
    last = max(1280, _multiple_of_8(1280 * width))
    layers += _unit("Conv_1", last, norm, kernel_size=1, activation="out_relu")
    top = (
        GlobalAvgPool("global_average_pooling2d"),
        Dense("predictions", 1000, initialisation="xavier"),
    )
    return Architecture(
        name="mobilenet_v2",
        input_shape=input_shape,
        layers=tuple(layers),
        heads=(Head(layers=top),),
    )


def _fire(name: str, squeezed: int, expanded: int) -> tuple[AnyLayer, ...]:
    one = Conv2d(f"{name}_expand1x1", expanded, kernel_size=1, activation="relu")
    three = Conv2d(f"{name}_expand3x3", expanded, padding=1, activation="relu")
    return (
        Conv2d(f"{name}_squeeze1x1", squeezed, kernel_size=1, activation="relu"),
        Parallel(f"{name}_concat", ((one,), (three,))),
    )


def _inverted(
    prefix: str, channels: int, widening: int, filters: int, stride: int, norm: NormName
) -> tuple[AnyLayer, ...]:
    """Widen by a 1x1 convolution, filter each map by itself, narrow by a 1x1 convolution."""
    inside = channels * widening
    widened: tuple[AnyLayer, ...] = ()
    if widening > 1:
        name = f"{prefix}expand"
        widened = _unit(name, inside, norm, kernel_size=1, activation=f"{name}_relu")
    depthwise, project = f"{prefix}depthwise", f"{prefix}project"
    return (
        *widened,
        *_unit(
            depthwise,
            inside,
            norm,
            kernel_size=3,
            stride=stride,
            groups=inside,
            activation=f"{depthwise}_relu",
        ),
        *_unit(project, filters, norm, kernel_size=1),
    )


def _unit(
    name: str,
    filters: int,
    norm: NormName,
    *,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    activation: str | None = None,
) -> tuple[AnyLayer, ...]:
    """Convolution, batch norm, ReLU6; the norm bears Keras' name for it."""
    padding: Padding = kernel_size // 2 if norm == "torch" else "same"
    layers: list[AnyLayer] = [
        Conv2d(
            name,
            filters,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            groups=groups,
            bias=norm == "folded",
        )
    ]
    if norm != "folded":
        layers.append(BatchNorm(_norm_name(name), eps=1e-5 if norm == "torch" else 1e-3))
    if activation:
        layers.append(Activation(activation, "relu6"))
    return tuple(layers)


def _norm_name(convolution: str) -> str:
    return {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}.get(convolution, f"{convolution}_BN")


def _multiple_of_8(filters: float) -> int:
    """The nearest multiple of 8, never more than a tenth below, and at least 8."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded

"""Networks of our own choice: for digits and lines, for several questions at once, for photographs.

All are stacks of convolution - batch norm - ReLU. Batch norm brings its own bias, so their
convolutions have none.

Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167.
"""

from __future__ import annotations

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    Activation,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2d,
)
from convoscope.architecture.protocol import Shape

_LARGE_IMAGE = 96
_POOLED_FROM = 8


def own_net(input_shape: Shape) -> Architecture:
    """Six convolutions in three pooled pairs, for small drawings such as digits and lines.

    It flattens its last maps instead of averaging them: where a stroke lies tells its angle.
    """
    return Architecture(
        name="own-net",
        input_shape=input_shape,
        layers=_three_pairs(),
        heads=(
            Head(
                layers=(
                    Flatten("flatten"),
                    Dropout("dropout1", 0.3),
                    Dense("dense1", 256, activation="relu"),
                    Dropout("dropout2", 0.5),
                    Dense("dense2", 10, initialisation="xavier"),
                )
            ),
        ),
    )


def four_heads(input_shape: Shape) -> Architecture:
    """One trunk that answers four questions about a line: length, width, colour and angle."""
    dense = Dense("dense1", 256, activation="relu")
    return Architecture(
        name="four-heads",
        input_shape=input_shape,
        layers=(*_three_pairs(), Flatten("flatten"), dense, Dropout("dropout1", 0.3)),
        heads=(
            *(
                Head(
                    name=name,
                    layers=(Dense(f"{name}_logit", 1, initialisation="xavier"),),
                    output="sigmoid",
                )
                for name in ("length", "width", "colour")
            ),
            Head(name="angle", layers=(Dense("angle_logits", 12, initialisation="xavier"),)),
        ),
    )


def small(input_shape: Shape) -> Architecture:
    """Five convolutions and an average over the last maps: a first network for photographs.

    It has few parameters, for little data on a laptop, and takes images of any size: large ones
    (96 pixels and more) are halved by the first convolution, and pooling stops where a map
    becomes smaller than 8 pixels. Halving early is what makes it both cheap and good at
    photographs: a cell of the last maps of 7x7 sees 153 of 224 pixels.
    """
    side = min(input_shape[1:])
    is_large = side >= _LARGE_IMAGE
    layers: list[AnyLayer] = list(_unit(1, 32, stride=2 if is_large else 1))
    side = -(-side // 2) if is_large else side
    for i, filters in enumerate((64, 128, 192, 256), 2):
        if side >= _POOLED_FROM:
            layers.append(MaxPool2d(f"pool{i - 1}"))
            side //= 2
        layers += _unit(i, filters)
    top = (
        GlobalAvgPool("average"),
        Dropout("dropout", 0.3),
        Dense("dense", 5, initialisation="xavier"),
    )
    return Architecture(
        name="small", input_shape=input_shape, layers=tuple(layers), heads=(Head(layers=top),)
    )


def _three_pairs() -> tuple[AnyLayer, ...]:
    layers: list[AnyLayer] = []
    for pair, filters in enumerate((32, 64, 128), 1):
        layers += [*_unit(2 * pair - 1, filters), *_unit(2 * pair, filters)]
        layers.append(MaxPool2d(f"pool{pair}"))
    return tuple(layers)


def _unit(number: int, filters: int, *, stride: int = 1) -> tuple[AnyLayer, ...]:
    return (
        Conv2d(f"conv{number}", filters, stride=stride, padding=1, bias=False),
        BatchNorm(f"norm{number}"),
        Activation(f"relu{number}"),
    )

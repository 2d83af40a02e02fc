"""Layers made of layers: residual and parallel branches; and networks adopted from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypeAlias

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
from convoscope.architecture.protocol import (
    ActivationName,
    Bufferless,
    Free,
    Shape,
    Shapes,
    check_choices,
    check_counts,
)
from convoscope.architecture.windows import POINT, Window, whole
from convoscope.errors import ArchitectureError, ShapeError, placed


@dataclass(frozen=True, slots=True)
class Residual(Free):
    """``activation(body(x) + shortcut(x))``; an empty shortcut passes ``x`` on unchanged.

    Source: He et al. 2016, https://arxiv.org/abs/1512.03385.
    """

    name: str
    body: tuple[AnyLayer, ...]
    _: KW_ONLY
    shortcut: tuple[AnyLayer, ...] = ()
    activation: ActivationName | None = None
    kind: Literal["residual"] = "residual"

    def __post_init__(self) -> None:
        if not self.body:
            raise ArchitectureError(f"layer {self.name!r}: body must hold at least one layer")
        check_choices(self, activation=ActivationName)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape that body and shortcut agree on.

        Raises:
            ShapeError: if they do not.
        """
        body, shortcut = chain(self.body, shape), chain(self.shortcut, shape)
        if body != shortcut:
            raise ShapeError(
                f"the body and the shortcut of a residual branch must give one shape, got {body} "
                f"and {shortcut}: give the shortcut a 1x1 convolution of the body's filters "
                "and stride"
            )
        return body

    def window(self, shape: Shape) -> Window:
        """One cell: the sum itself; what its branches see is found by walking them."""
        return POINT


@dataclass(frozen=True, slots=True)
class Parallel(Free):
    """Branches that read the same input; their outputs are concatenated along the channels.

    Source: Szegedy et al. 2015, https://arxiv.org/abs/1409.4842.
    """

    name: str
    branches: tuple[tuple[AnyLayer, ...], ...]
    kind: Literal["parallel"] = "parallel"

    def __post_init__(self) -> None:
        if not self.branches:
            raise ArchitectureError(f"layer {self.name!r}: branches must hold at least one branch")

    def output_shape(self, shape: Shape) -> Shape:
        """The branches' common ``H', W'`` with their channels added.

        Raises:
            ShapeError: if the branches give maps of different sizes.
        """
        shapes = [chain(branch, shape) for branch in self.branches]
        if len({s[1:] for s in shapes}) != 1:
            raise ShapeError(
                f"parallel branches must give maps of one size, got {shapes}: "
                "use padding 'same' and the same stride in each"
            )
        return (sum(s[0] for s in shapes), *shapes[0][1:])

    def window(self, shape: Shape) -> Window:
        """One cell: the concatenation itself; what its branches see is found by walking them."""
        return POINT


@dataclass(frozen=True, slots=True)
class Adopted(Bufferless):
    """A network that somebody else defined, cut at one of its layers and used as one layer.

    ``source`` says where it comes from (``"timm/resnet50"``), ``cut`` the layer whose output it
    gives, ``maps`` that output's shape; its parameters and MACs are counted by whoever adopts it.

    A part of it that learns while the rest does not is such a layer, too: it begins with what the
    layer ``after`` gives for images of shape ``image``. What another part goes on from is given
    ``is_raw``, every value in its own order, whatever it means.
    """

    name: str
    _: KW_ONLY
    source: str
    cut: str
    maps: Shape
    parameters: int
    multiply_accumulates: int
    after: str = ""
    image: Shape = ()
    is_raw: bool = False
    kind: Literal["adopted"] = "adopted"

    def __post_init__(self) -> None:
        check_counts(self, "parameters", "multiply_accumulates")

    def output_shape(self, shape: Shape) -> Shape:
        """``maps``, for the input it was adopted with."""
        return self.maps

    def parameter_shapes(self, shape: Shape) -> Shapes:
        """None by name: they stay inside; ``parameter_count`` counts them."""
        return {}

    def parameter_count(self, shape: Shape) -> int:
        """The adopted network's trainable values up to the cut."""
        return self.parameters

    def macs(self, shape: Shape) -> int:
        """The adopted network's multiply-accumulates up to the cut."""
        return self.multiply_accumulates

    def window(self, shape: Shape) -> Window:
        """The whole image, an upper bound."""
        return whole((shape[1], shape[2]))


AnyLayer: TypeAlias = (
    Conv2d
    | SeparableConv2d
    | MaxPool2d
    | AvgPool2d
    | GlobalMaxPool
    | GlobalAvgPool
    | BatchNorm
    | Activation
    | Dropout
    | Flatten
    | Dense
    | Residual
    | Parallel
    | Adopted
)


def chain(layers: Sequence[AnyLayer], shape: Shape) -> Shape:
    """The output shape of layers one after the other; errors say which layer."""
    for layer in layers:
        with placed(f"layer {layer.name!r}"):
            shape = layer.output_shape(shape)
    return shape

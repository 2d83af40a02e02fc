"""What every layer can tell about itself, and the facts that kinds of layers share.

Shapes are ``(C, H, W)`` for maps and ``(K,)`` for vectors. The abstract classes here give a
layer its plain answers (no parameters, no buffers, one cell wide); no layer overrides them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias, get_args

from convoscope.architecture.windows import POINT, Padding, Size, Window, places, whole, window
from convoscope.errors import ArchitectureError, ShapeError

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]
ActivationName: TypeAlias = Literal[
    "relu", "relu6", "elu", "selu", "gelu", "silu", "leaky_relu", "tanh", "sigmoid"
]
Initialisation: TypeAlias = Literal["kaiming", "xavier", "fan_in"]

_LARGEST = 2**53  # what a JSON reader still takes for a whole number


def shape_text(shape: Shape) -> str:
    """A shape as one says it: ``3x224x224``."""
    return "x".join(map(str, shape))


class Layer(Protocol):
    """What every layer can tell about itself."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    def output_shape(self, shape: Shape) -> Shape: ...
    def parameter_shapes(self, shape: Shape) -> Shapes: ...
    def buffer_shapes(self, shape: Shape) -> Shapes: ...
    def parameter_count(self, shape: Shape) -> int: ...
    def macs(self, shape: Shape) -> int: ...
    def window(self, shape: Shape) -> Window: ...


class Counted:
    """A layer whose parameter count is what its parameter shapes add up to."""

    __slots__ = ()

    def parameter_count(self: Layer, shape: Shape) -> int:
        """The number of trainable values."""
        return sum(math.prod(s) for s in self.parameter_shapes(shape).values())


class Bufferless:
    """A layer that remembers nothing besides its parameters."""

    __slots__ = ()

    def buffer_shapes(self, shape: Shape) -> Shapes:
        """No buffers."""
        return {}


class Free(Bufferless):
    """A layer without parameters and without multiply-accumulates (see analysis)."""

    __slots__ = ()

    def parameter_shapes(self, shape: Shape) -> Shapes:
        """No parameters."""
        return {}

    def parameter_count(self, shape: Shape) -> int:
        """No parameters."""
        return 0

    def macs(self, shape: Shape) -> int:
        """Pooling, activations and reshaping multiply nothing by a weight."""
        return 0


class Pointwise:
    """A layer whose output has the shape of its input and sees no neighbours."""

    __slots__ = ()

    def output_shape(self, shape: Shape) -> Shape:
        """The shape it is given."""
        return shape

    def window(self, shape: Shape) -> Window:
        """One cell."""
        return POINT


class ToVector(Free):
    """A layer that turns maps into one vector and sees all of them."""

    __slots__ = ()

    def window(self, shape: Shape) -> Window:
        """The whole map."""
        return whole((shape[1], shape[2])) if len(shape) == 3 else POINT


class Pooling(Free):
    """The arithmetic that maximum and average pooling share."""

    __slots__ = ()

    kernel_size: int
    stride: int | None
    padding: Padding
    ceil_mode: bool

    def output_shape(self, shape: Shape) -> Shape:
        """``(C, H, W)`` to ``(C, H', W')``.

        Raises:
            ShapeError: if the window is larger than the padded map.
        """
        channels, size = map_size(shape)
        view = self.window(shape)
        count = places(size, view, kernel_size=self.kernel_size, ceil_mode=self.ceil_mode)
        return (channels, *count)

    def window(self, shape: Shape) -> Window:
        """The pool's window."""
        return window(
            map_size(shape)[1],
            kernel_size=self.kernel_size,
            stride=self.stride or self.kernel_size,
            padding=self.padding,
        )


class _PoolingLayer(Layer, Protocol):
    @property
    def kernel_size(self) -> int: ...
    @property
    def stride(self) -> int | None: ...
    @property
    def padding(self) -> Padding: ...


def map_size(shape: Shape) -> tuple[int, Size]:
    """Channels and size of maps of ``shape``.

    Raises:
        ShapeError: if ``shape`` is a vector's.
    """
    if len(shape) != 3:
        raise ShapeError(
            f"this layer takes maps (C, H, W), got a vector of shape {shape}: "
            "put it before the flatten or global pooling layer"
        )
    return shape[0], (shape[1], shape[2])


def check_counts(layer: Layer, *fields: str) -> None:
    """Raise ``ArchitectureError`` unless each of the fields is an int of at least 1."""
    for field in fields:
        value = getattr(layer, field)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ArchitectureError(
                f"layer {layer.name!r}: {field} must be an int >= 1, got {value!r}"
            )
        if value > _LARGEST:
            raise ArchitectureError(
                f"layer {layer.name!r}: {field} must be at most {_LARGEST}, got a number of "
                f"{value.bit_length()} bits: write a smaller one"
            )


def check_choices(layer: Layer, **allowed: Any) -> None:
    """Raise ``ArchitectureError`` unless each field is one of its literal's values, or ``None``."""
    for field, literal in allowed.items():
        value = getattr(layer, field)
        if value is not None and value not in get_args(literal):
            raise ArchitectureError(
                f"layer {layer.name!r}: {field} must be one of {', '.join(get_args(literal))}, "
                f"got {value!r}"
            )


def check_padding(name: str, padding: Padding) -> None:
    """Raise ``ArchitectureError`` unless ``padding`` is one that :data:`Padding` allows."""
    is_number = isinstance(padding, int) and not isinstance(padding, bool) and padding >= 0
    if not is_number and padding not in ("same", "valid"):
        raise ArchitectureError(
            f"layer {name!r}: padding must be an int >= 0, 'same' or 'valid', got {padding!r}"
        )


def check_pooling(layer: _PoolingLayer) -> None:
    """Raise ``ArchitectureError`` unless window, stride and padding are possible together."""
    check_counts(layer, "kernel_size", *(["stride"] if layer.stride is not None else []))
    check_padding(layer.name, layer.padding)
    if isinstance(layer.padding, int) and layer.padding > layer.kernel_size // 2:
        raise ArchitectureError(
            f"layer {layer.name!r}: padding of a pooling layer must be at most half its kernel, "
            f"got padding {layer.padding} for a {layer.kernel_size}x{layer.kernel_size} window"
        )

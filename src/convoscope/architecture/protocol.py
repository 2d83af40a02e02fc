"""What every layer can tell about itself, and the facts that kinds of layers share.

Shapes are ``(C, H, W)`` for maps and ``(K,)`` for vectors. The abstract classes here give a
layer its plain answers (no parameters, no buffers, one cell wide); no layer overrides them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from convoscope.architecture.windows import POINT, Padding, Size, Window, whole
from convoscope.errors import ArchitectureError, ShapeError

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]
ActivationName: TypeAlias = Literal[
    "relu", "relu6", "elu", "selu", "gelu", "silu", "leaky_relu", "tanh", "sigmoid"
]
Initialisation: TypeAlias = Literal["kaiming", "xavier", "fan_in"]


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


def check_padding(name: str, padding: Padding) -> None:
    """Raise ``ArchitectureError`` unless ``padding`` is one that :data:`Padding` allows."""
    is_number = isinstance(padding, int) and not isinstance(padding, bool) and padding >= 0
    if not is_number and padding not in ("same", "valid"):
        raise ArchitectureError(
            f"layer {name!r}: padding must be an int >= 0, 'same' or 'valid', got {padding!r}"
        )

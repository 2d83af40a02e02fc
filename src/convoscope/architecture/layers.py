"""The layer vocabulary: what a layer is, not how it is computed.

A layer is a frozen value with a name. From its own fields and the shape it is given it
answers: its output shape, its parameter and buffer shapes, its multiply-accumulates (MACs)
and its window. Shapes are ``(C, H, W)`` for maps and ``(K,)`` for vectors.
Nothing here imports NumPy or PyTorch.

Parameters are named as PyTorch names them and laid out as PyTorch lays them out: conv
``weight`` (F, C / groups, k, k), dense ``weight`` (K', K), batch norm ``weight`` and ``bias``
with the buffers ``running_mean`` and ``running_var``.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from convoscope.architecture.protocol import (
    ActivationName,
    Bufferless,
    Counted,
    Free,
    Initialisation,
    Pointwise,
    Pooling,
    Shape,
    Shapes,
    ToVector,
    check_choices,
    check_counts,
    check_padding,
    check_pooling,
    map_size,
)
from convoscope.architecture.windows import POINT, Padding, Window, places, window
from convoscope.errors import ArchitectureError, ShapeError


@dataclass(frozen=True, slots=True)
class Conv2d(Counted, Bufferless):
    """2-D cross-correlation, which every framework calls convolution, then its activation.

    ``padding`` is a number of zeros on each side, ``"valid"`` (none) or ``"same"``
    (TensorFlow's: output ``ceil(H / s)``, the odd pixel at the bottom and the right).
    """

    name: str
    filters: int
    _: KW_ONLY
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    activation: ActivationName | None = None
    initialisation: Initialisation = "kaiming"
    kind: Literal["conv2d"] = "conv2d"

    def __post_init__(self) -> None:
        check_counts(self, "filters", "kernel_size", "stride", "dilation", "groups")
        check_padding(self.name, self.padding)
        check_choices(self, activation=ActivationName, initialisation=Initialisation)

    def output_shape(self, shape: Shape) -> Shape:
        """``(C, H, W)`` to ``(F, H', W')``, where ``H' = (H + 2p - d(k - 1) - 1) // s + 1``.

        Raises:
            ShapeError: if the kernel is larger than the padded map, or the channels do not
                divide into the groups.
        """
        channels, size = map_size(shape)
        if channels % self.groups or self.filters % self.groups:
            raise ShapeError(
                f"groups must divide channels and filters, got groups={self.groups} with "
                f"{channels} channels and {self.filters} filters: choose a common divisor"
            )
        view = self.window(shape)
        return (self.filters, *places(size, view, kernel_size=self.kernel_size))

    def parameter_shapes(self, shape: Shape) -> Shapes:
        """``weight`` (F, C / groups, k, k) and, with a bias, ``bias`` (F,)."""
        k = self.kernel_size
        weight = {"weight": (self.filters, shape[0] // self.groups, k, k)}
        return weight | {"bias": (self.filters,)} if self.bias else weight

    def macs(self, shape: Shape) -> int:
        """``F H' W' k k C / groups``."""
        return math.prod(self.output_shape(shape)) * math.prod(
            self.parameter_shapes(shape)["weight"][1:]
        )

    def window(self, shape: Shape) -> Window:
        """The kernel's window."""
        return window(
            map_size(shape)[1],
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )


@dataclass(frozen=True, slots=True)
class SeparableConv2d(Counted, Bufferless):
    """A depthwise-separable convolution: one k x k filter per channel, then a 1 x 1 convolution
    that mixes the channels, with one bias and one activation at the end.

    Source: Chollet 2017, Xception, https://arxiv.org/abs/1610.02357.
    """

    name: str
    filters: int
    _: KW_ONLY
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0
    dilation: int = 1
    bias: bool = True
    activation: ActivationName | None = None
    initialisation: Initialisation = "kaiming"
    kind: Literal["separable_conv2d"] = "separable_conv2d"

    def __post_init__(self) -> None:
        check_counts(self, "filters", "kernel_size", "stride", "dilation")
        check_padding(self.name, self.padding)
        check_choices(self, activation=ActivationName, initialisation=Initialisation)

    def output_shape(self, shape: Shape) -> Shape:
        """``(C, H, W)`` to ``(F, H', W')``, the places of :class:`Conv2d`."""
        size = map_size(shape)[1]
        return (self.filters, *places(size, self.window(shape), kernel_size=self.kernel_size))

    def parameter_shapes(self, shape: Shape) -> Shapes:
        """``depthwise`` (C, 1, k, k), ``pointwise`` (F, C, 1, 1) and ``bias`` (F,)."""
        k, channels = self.kernel_size, shape[0]
        shapes = {
            "depthwise": (channels, 1, k, k),
            "pointwise": (self.filters, channels, 1, 1),
        }
        return shapes | {"bias": (self.filters,)} if self.bias else shapes

    def macs(self, shape: Shape) -> int:
        """``C H' W' (k k + F)``."""
        _, height, width = self.output_shape(shape)
        return shape[0] * height * width * (self.kernel_size**2 + self.filters)

    def window(self, shape: Shape) -> Window:
        """The depthwise kernel's window."""
        return window(
            map_size(shape)[1],
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )


@dataclass(frozen=True, slots=True)
class MaxPool2d(Pooling):
    """The maximum of each window; padding counts as minus infinity. ``stride`` is the kernel
    size unless given. With ``ceil_mode`` a last window may stick out of the map.
    """

    name: str
    _: KW_ONLY
    kernel_size: int = 2
    stride: int | None = None
    padding: Padding = 0
    ceil_mode: bool = False
    kind: Literal["max_pool2d"] = "max_pool2d"

    def __post_init__(self) -> None:
        check_pooling(self)


@dataclass(frozen=True, slots=True)
class AvgPool2d(Pooling):
    """The mean over those pixels of each window that lie inside the map. ``stride`` is the kernel
    size unless given. With ``ceil_mode`` a last window may stick out of the map.
    """

    name: str
    _: KW_ONLY
    kernel_size: int = 2
    stride: int | None = None
    padding: Padding = 0
    ceil_mode: bool = False
    kind: Literal["avg_pool2d"] = "avg_pool2d"

    def __post_init__(self) -> None:
        check_pooling(self)


@dataclass(frozen=True, slots=True)
class GlobalMaxPool(ToVector):
    """The maximum of each map: ``(C, H, W)`` to ``(C,)``."""

    name: str
    kind: Literal["global_max_pool"] = "global_max_pool"

    def output_shape(self, shape: Shape) -> Shape:
        """``(C,)``."""
        return (map_size(shape)[0],)


@dataclass(frozen=True, slots=True)
class GlobalAvgPool(ToVector):
    """The mean of each map: ``(C, H, W)`` to ``(C,)``."""

    name: str
    kind: Literal["global_avg_pool"] = "global_avg_pool"

    def output_shape(self, shape: Shape) -> Shape:
        """``(C,)``."""
        return (map_size(shape)[0],)


@dataclass(frozen=True, slots=True)
class Flatten(ToVector):
    """Maps as one vector, channel by channel, row by row: ``(C, H, W)`` to ``(C H W,)``."""

    name: str
    kind: Literal["flatten"] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """``(C H W,)``."""
        return (math.prod(shape),)


@dataclass(frozen=True, slots=True)
class BatchNorm(Counted, Pointwise):
    """Batch normalisation over all axes but the channels (or the units of a vector).

    While learning, ``running = (1 - momentum) running + momentum batch``, the variance unbiased;
    afterwards the running statistics are used. ``momentum`` and ``eps`` as PyTorch has them.

    Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167.
    """

    name: str
    _: KW_ONLY
    momentum: float = 0.1
    eps: float = 1e-5
    kind: Literal["batch_norm"] = "batch_norm"

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ArchitectureError(
                f"layer {self.name!r}: momentum must lie in 0..1, got {self.momentum}"
            )
        if not 0 < self.eps < math.inf:
            raise ArchitectureError(
                f"layer {self.name!r}: eps must be a finite number above 0, got {self.eps}"
            )

    def parameter_shapes(self, shape: Shape) -> Shapes:
        """``weight`` and ``bias``, (C,) each."""
        return {"weight": (shape[0],), "bias": (shape[0],)}

    def buffer_shapes(self, shape: Shape) -> Shapes:
        """``running_mean`` and ``running_var``, (C,) each."""
        return {"running_mean": (shape[0],), "running_var": (shape[0],)}

    def macs(self, shape: Shape) -> int:
        """None: at prediction time it folds into the convolution before it."""
        return 0


@dataclass(frozen=True, slots=True)
class Activation(Free, Pointwise):
    """A nonlinearity as a layer of its own, for the order conv - batch norm - activation."""

    name: str
    function: ActivationName = "relu"
    kind: Literal["activation"] = "activation"

    def __post_init__(self) -> None:
        check_choices(self, function=ActivationName)


@dataclass(frozen=True, slots=True)
class Dropout(Free, Pointwise):
    """While learning, sets each value to zero with probability ``rate`` and divides the others
    by ``1 - rate``; afterwards it does nothing.

    Source: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """

    name: str
    rate: float = 0.5
    kind: Literal["dropout"] = "dropout"

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ArchitectureError(
                f"layer {self.name!r}: rate must be at least 0 and below 1, got {self.rate}"
            )


@dataclass(frozen=True, slots=True)
class Dense(Counted, Bufferless):
    """A fully connected layer, then its activation: ``(K,)`` to ``(units,)``."""

    name: str
    units: int
    _: KW_ONLY
    bias: bool = True
    activation: ActivationName | None = None
    initialisation: Initialisation = "kaiming"
    kind: Literal["dense"] = "dense"

    def __post_init__(self) -> None:
        check_counts(self, "units")
        check_choices(self, activation=ActivationName, initialisation=Initialisation)

    def output_shape(self, shape: Shape) -> Shape:
        """``(units,)``.

        Raises:
            ShapeError: if it is given maps.
        """
        if len(shape) != 1:
            raise ShapeError(
                f"a dense layer takes a vector, got maps of shape {shape}: "
                "put a flatten or a global pooling layer before it"
            )
        return (self.units,)

    def parameter_shapes(self, shape: Shape) -> Shapes:
        """``weight`` (units, K) and, with a bias, ``bias`` (units,)."""
        weight = {"weight": (self.units, shape[0])}
        return weight | {"bias": (self.units,)} if self.bias else weight

    def macs(self, shape: Shape) -> int:
        """``K units``."""
        return shape[0] * self.units

    def window(self, shape: Shape) -> Window:
        """One cell: a vector has no neighbours left."""
        return POINT

"""Each layer of the vocabulary as a PyTorch module.

A module is made for the place where its layer stands, so everything that depends on the
input's shape - "same" padding above all - is settled before the first image comes. Maps are
(N, C, H, W) by shape; in memory the channels may be innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.branches import Parallel, Residual
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
from convoscope.architecture.protocol import ActivationName
from convoscope.architecture.windows import Window
from convoscope.engines.torch.dense import linear
from convoscope.engines.torch.pairs import conv2d_in_pairs, pairs_pay
from convoscope.engines.torch.pooling import (
    AvgPool,
    GlobalMax,
    GlobalMean,
    MaxPool,
    padded,
    padding_of,
)
from convoscope.engines.weights import dropout_mask
from convoscope.errors import ShapeError

Tensors: TypeAlias = Mapping[str, Tensor]

ACTIVATIONS: dict[ActivationName, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "leaky_relu": functional.leaky_relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


def make_module(place: Place, tensors: Tensors, made: Mapping[str, nn.Module]) -> nn.Module:
    """The module of a layer, holding ``tensors``, its own ``{"parameter": tensor}``.

    ``made`` are the modules made before it; a branching layer finds its branches' there.
    """
    match place.layer:
        case Conv2d():
            return Conv(place.layer, place.layer.window(place.input_shape), tensors)
        case SeparableConv2d():
            return SeparableConv(place.layer, place.layer.window(place.input_shape), tensors)
        case MaxPool2d():
            return MaxPool(place.layer, place.layer.window(place.input_shape))
        case AvgPool2d():
            return AvgPool(place.layer, place.layer.window(place.input_shape))
        case GlobalMaxPool():
            return GlobalMax()
        case GlobalAvgPool():
            return GlobalMean()
        case BatchNorm():
            return Normalise(place.layer, tensors)
        case Activation():
            return Nonlinearity(place.layer.function)
        case Dropout():
            return Drop(place.layer)
        case Flatten():
            return nn.Flatten()
        case Dense():
            return FullyConnected(place.layer, tensors)
        case Residual():
            return Sum(place.layer, made)
        case Parallel():
            return Concatenation(place.layer, made)
        case _:
            return made[place.layer.name]


class Conv(nn.Module):
    """:class:`~convoscope.architecture.layers.Conv2d`."""

    def __init__(self, layer: Conv2d, window: Window, tensors: Tensors) -> None:
        super().__init__()
        self.weight, self.bias = _weight_and_bias("weight", tensors)
        self.stride, self.dilation, self.groups = layer.stride, layer.dilation, layer.groups
        self.padding, self.extra = padding_of(window)
        self.activation = layer.activation
        is_square = not any(self.extra) and self.padding[0] == self.padding[1]
        self.may_pair = is_square and self.dilation == self.groups == 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, F, H', W')."""
        return _activated(self._linear(x), self.activation)

    def pooled(self, x: Tensor, pool: MaxPool) -> Tensor:
        """What ``pool`` makes of :meth:`forward`, exactly, with fewer values to activate.

        A maximum and a ReLU commute, since neither changes the order of values; and the gradient
        goes the same way: to the first maximum of a window if that is above 0, else nowhere.
        """
        return torch.relu_(pool(self._linear(x)))

    def _linear(self, x: Tensor) -> Tensor:
        slide = self.stride, self.padding[0]
        if self.training and self.may_pair and pairs_pay(x, self.weight, *slide):
            return conv2d_in_pairs(x, self.weight, self.bias, *slide)
        return functional.conv2d(
            padded(x, self.extra),
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class SeparableConv(nn.Module):
    """:class:`~convoscope.architecture.layers.SeparableConv2d`."""

    def __init__(self, layer: SeparableConv2d, window: Window, tensors: Tensors) -> None:
        super().__init__()
        self.depthwise = nn.Parameter(tensors["depthwise"])
        self.pointwise, self.bias = _weight_and_bias("pointwise", tensors)
        self.stride, self.dilation = layer.stride, layer.dilation
        self.padding, self.extra = padding_of(window)
        self.activation = layer.activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, F, H', W')."""
        maps = functional.conv2d(
            padded(x, self.extra),
            self.depthwise,
            None,
            self.stride,
            self.padding,
            self.dilation,
            groups=x.shape[1],
        )
        return _activated(functional.conv2d(maps, self.pointwise, self.bias), self.activation)


class Normalise(nn.Module):
    """:class:`~convoscope.architecture.layers.BatchNorm`."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, layer: BatchNorm, tensors: Tensors) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(tensors["weight"]), nn.Parameter(tensors["bias"])
        self.register_buffer("running_mean", tensors["running_mean"])
        self.register_buffer("running_var", tensors["running_var"])
        self.name, self.momentum, self.eps = layer.name, layer.momentum, layer.eps

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to the same shape; while learning, the running statistics move.

        Raises:
            ShapeError: if, while learning, a channel has one value only.
        """
        if self.training and x.numel() == x.shape[1]:
            raise ShapeError(
                f"layer {self.name!r}: batch norm learns from more than one value per channel, "
                f"got a batch of shape {tuple(x.shape)}: use a larger batch"
            )
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )


class Nonlinearity(nn.Module):
    """:class:`~convoscope.architecture.layers.Activation`."""

    def __init__(self, function: ActivationName) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return ACTIVATIONS[self.function](x)


class Drop(nn.Module):
    """:class:`~convoscope.architecture.layers.Dropout`, with masks keyed by (seed, step, layer).

    The learner sets ``seed`` and ``step`` before each step.
    """

    def __init__(self, layer: Dropout) -> None:
        super().__init__()
        self.name, self.rate = layer.name, layer.rate
        self.seed, self.step = 0, 0

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        if not self.training or not self.rate:
            return x
        kept = dropout_mask(self.seed, self.step, self.name, tuple(x.shape), self.rate)
        return x * torch.from_numpy(kept).to(x.device) / (1 - self.rate)


class FullyConnected(nn.Module):
    """:class:`~convoscope.architecture.layers.Dense`."""

    def __init__(self, layer: Dense, tensors: Tensors) -> None:
        super().__init__()
        self.weight, self.bias = _weight_and_bias("weight", tensors)
        self.activation = layer.activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, K) to (N, units)."""
        return _activated(linear(x, self.weight, self.bias), self.activation)


class Sum(nn.Module):
    """:class:`~convoscope.architecture.branches.Residual`."""

    def __init__(self, layer: Residual, made: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.body = tuple(made[inner.name] for inner in layer.body)
        self.shortcut = tuple(made[inner.name] for inner in layer.shortcut)
        self.activation = layer.activation

    def forward(self, x: Tensor) -> Tensor:
        """The body's output plus the shortcut's, activated."""
        return _activated(in_turn(self.body, x) + in_turn(self.shortcut, x), self.activation)


class Concatenation(nn.Module):
    """:class:`~convoscope.architecture.branches.Parallel`."""

    def __init__(self, layer: Parallel, made: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.branches = tuple(tuple(made[i.name] for i in branch) for branch in layer.branches)

    def forward(self, x: Tensor) -> Tensor:
        """The branches' outputs, one after the other along the channels."""
        return torch.cat([in_turn(branch, x) for branch in self.branches], dim=1)


def in_turn(modules: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Modules one after the other; a ReLU comes after a max pooling where nobody can tell."""
    done: nn.Module | None = None
    for module, after in zip(modules, (*modules[1:], None), strict=False):  # maybe none
        if module is done:
            continue
        if isinstance(module, Conv) and isinstance(after, MaxPool) and _commute(module, after):
            x, done = module.pooled(x, after), after
        else:
            x = module(x)
    return x


def _commute(conv: Conv, pool: MaxPool) -> bool:
    """Whether the ReLU may come last: nobody watches either of the two, and no remembered pass
    will ask for gradients by another rule than the plain one.
    """
    is_plain = conv.training or not torch.is_grad_enabled()
    is_watched = conv._forward_hooks or pool._forward_hooks
    return conv.activation == "relu" and is_plain and not is_watched


def _weight_and_bias(weight: str, tensors: Tensors) -> tuple[nn.Parameter, nn.Parameter | None]:
    bias = nn.Parameter(tensors["bias"]) if "bias" in tensors else None
    return nn.Parameter(tensors[weight]), bias


def _activated(fresh: Tensor, activation: ActivationName | None) -> Tensor:
    """The activation of a tensor that nobody else holds: a ReLU may overwrite it."""
    if activation is None:
        return fresh
    if activation == "relu":
        return torch.relu_(fresh)
    return ACTIVATIONS[activation](fresh)

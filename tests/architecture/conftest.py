"""Two oracles that know nothing of our arithmetic, and random architectures to put to them.

:func:`outputs` runs an architecture with PyTorch's own modules. :func:`reached` finds the pixels
that a cell depends on as the support of a gradient: every weight is 1, every pooling a mean, so
that nothing cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.graph import Architecture
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
from convoscope.architecture.receptive_field import Box
from convoscope.architecture.windows import Padding
from convoscope.errors import ShapeError

ACTIVATIONS: dict[str, nn.Module] = {
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "elu": nn.ELU(),
    "selu": nn.SELU(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "leaky_relu": nn.LeakyReLU(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
}


# -- PyTorch's own modules ------------------------------------------------------------------------


def outputs(
    architecture: Architecture, *, device: str = "meta"
) -> tuple[dict[str, Tensor], dict[str, nn.Module]]:
    """Each layer's output for one image, and each layer's module; "meta" computes shapes only."""
    found: dict[str, Tensor] = {}
    modules: dict[str, nn.Module] = {}
    with torch.device(device), torch.no_grad():
        x = torch.zeros(1, *architecture.input_shape)
        x = _run(architecture.layers, x, found, modules)
        for head in architecture.heads:
            _run(head.layers, x, found, modules)
    return found, modules


def _run(
    layers: Sequence[AnyLayer], x: Tensor, found: dict[str, Tensor], modules: dict[str, nn.Module]
) -> Tensor:
    for layer in layers:
        if isinstance(layer, Residual):
            body = _run(layer.body, x, found, modules)
            x = body + _run(layer.shortcut, x, found, modules)
        elif isinstance(layer, Parallel):
            x = torch.cat([_run(branch, x, found, modules) for branch in layer.branches], dim=1)
        else:
            modules[layer.name] = _module(layer, x).eval()
            x = modules[layer.name](x)
        found[layer.name] = x
    return x


def _module(layer: AnyLayer, x: Tensor) -> nn.Module:
    channels = x.shape[1]
    match layer:
        case Conv2d():
            conv = nn.Conv2d(
                channels,
                layer.filters,
                layer.kernel_size,
                stride=layer.stride,
                dilation=layer.dilation,
                groups=layer.groups,
                bias=layer.bias,
            )
            pad = zero_padding(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            return nn.Sequential(nn.ZeroPad2d(pad), conv)
        case SeparableConv2d():
            k, d = layer.kernel_size, layer.dilation
            pad = zero_padding(x, k, layer.stride, layer.padding, d)
            return nn.Sequential(
                nn.ZeroPad2d(pad),
                nn.Conv2d(channels, channels, k, layer.stride, 0, d, channels, bias=False),
                nn.Conv2d(channels, layer.filters, 1, bias=layer.bias),
            )
        case MaxPool2d() | AvgPool2d():
            return _Mean(layer)
        case BatchNorm():
            return nn.BatchNorm2d(channels) if x.ndim == 4 else nn.BatchNorm1d(channels)
        case Activation():
            return ACTIVATIONS[layer.function]
        case Dropout():
            return nn.Dropout(layer.rate)
        case GlobalMaxPool():
            return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        case GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case Flatten():
            return nn.Flatten()
        case Dense():
            return nn.Linear(channels, layer.units, bias=layer.bias)
        case _:
            raise NotImplementedError(layer.kind)


class _Mean(nn.Module):
    """Mean pooling: the places and the pixels of maximum pooling, all of them used."""

    def __init__(self, layer: MaxPool2d | AvgPool2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        k, s = self.layer.kernel_size, self.layer.stride or self.layer.kernel_size
        if isinstance(self.layer.padding, int):
            pooled = functional.avg_pool2d(x, k, s, self.layer.padding, self.layer.ceil_mode)
        else:
            padded = functional.pad(x, zero_padding(x, k, s, self.layer.padding, 1))
            pooled = functional.avg_pool2d(padded, k, s, 0, self.layer.ceil_mode)
        return pooled


def zero_padding(
    x: Tensor, kernel_size: int, stride: int, padding: Padding, dilation: int
) -> tuple[int, int, int, int]:
    """Left, right, top, bottom, as ``torch.nn.functional.pad`` takes them."""
    if padding == "valid":
        return (0, 0, 0, 0)
    if isinstance(padding, int):
        return (padding,) * 4
    pads = []
    for n in (x.shape[3], x.shape[2]):
        outputs = math.ceil(n / stride)
        missing = max((outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - n, 0)
        pads += [math.floor(missing / 2), math.ceil(missing / 2)]
    return pads[0], pads[1], pads[2], pads[3]


# -- what a cell depends on -----------------------------------------------------------------------


def reach(architecture: Architecture) -> tuple[Tensor, dict[str, Tensor]]:
    """An image (1, 1, H, W) and each layer's output, every channel added into one."""
    image = torch.ones(1, 1, *architecture.input_shape[1:], dtype=torch.float64)
    image.requires_grad_()
    found: dict[str, Tensor] = {}
    x = _reach(architecture.layers, image, found)
    for head in architecture.heads:
        _reach(head.layers, x, found)
    return image, found


def reached(image: Tensor, cell: Tensor) -> Box:
    """The box around the pixels with a gradient."""
    (gradient,) = torch.autograd.grad(cell, image, retain_graph=True, allow_unused=True)
    rows, columns = (
        torch.nonzero(gradient[0, 0], as_tuple=True) if gradient is not None else ((), ())
    )
    if len(rows) == 0:
        return Box(0, 0, 0, 0)
    return Box(int(min(rows)), int(min(columns)), int(max(rows)) + 1, int(max(columns)) + 1)


def _reach(layers: Sequence[AnyLayer], x: Tensor, found: dict[str, Tensor]) -> Tensor:
    for layer in layers:
        match layer:
            case Conv2d() | SeparableConv2d():
                k, s, d = layer.kernel_size, layer.stride, layer.dilation
                padded = functional.pad(x, zero_padding(x, k, s, layer.padding, d))
                ones = torch.ones(1, 1, k, k, dtype=torch.float64)
                x = functional.conv2d(padded, ones, stride=s, dilation=d)
            case MaxPool2d() | AvgPool2d():
                x = _Mean(layer)(x)
            case GlobalMaxPool() | GlobalAvgPool() | Flatten():
                x = x.sum(dim=(2, 3), keepdim=True)
            case Residual():
                x = _reach(layer.body, x, found) + _reach(layer.shortcut, x, found)
            case Parallel():
                x = torch.stack([_reach(branch, x, found) for branch in layer.branches]).sum(0)
            case _:
                pass
        found[layer.name] = x
    return x


# -- random architectures -------------------------------------------------------------------------


@st.composite
def architectures(draw: st.DrawFn, *, with_branches: bool = True) -> Architecture:
    """Up to five layers on an image of 5 to 14 pixels a side; a flatten and a dense on some."""
    channels, height, width = draw(
        st.tuples(st.integers(1, 3), st.integers(5, 14), st.integers(5, 14))
    )
    shape: Shape = (channels, height, width)
    layers: list[AnyLayer] = []
    now = shape
    for i in range(draw(st.integers(1, 5))):
        kinds = st.integers(0, 9 if with_branches else 7)
        layer = _branched(draw, f"layer{i}", now) if draw(kinds) > 7 else _simple(draw, f"layer{i}")
        try:
            now = layer.output_shape(now)
        except ShapeError:
            continue
        layers.append(layer)
    if draw(st.booleans()):
        ends: list[AnyLayer] = [Flatten("end"), GlobalAvgPool("end"), GlobalMaxPool("end")]
        layers += [draw(st.sampled_from(ends)), Dense("dense", 2)]
    return Architecture(name="random", input_shape=shape, layers=tuple(layers))


def _simple(draw: st.DrawFn, name: str) -> AnyLayer:
    kind = draw(st.sampled_from(["conv", "separable", "max", "avg", "norm", "relu"]))
    kernel_size, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    # Odd kernels if dilated, and half a kernel of padding at most: every cell sees some pixel.
    dilation = draw(st.integers(1, 2)) if kernel_size % 2 else 1
    named: st.SearchStrategy[Padding] = st.sampled_from(["same", "valid"])
    padding = draw(named | st.integers(0, kernel_size // 2))
    filters = draw(st.integers(1, 4))
    match kind:
        case "conv":
            return Conv2d(
                name,
                filters,
                kernel_size=kernel_size,
                stride=stride,
                padding=padding,
                dilation=dilation,
                groups=draw(st.integers(1, 2)),
                bias=draw(st.booleans()),
            )
        case "separable":
            return SeparableConv2d(
                name,
                filters,
                kernel_size=kernel_size,
                stride=stride,
                padding=padding,
                dilation=dilation,
            )
        case "max" | "avg":
            pool = MaxPool2d if kind == "max" else AvgPool2d
            return pool(
                name,
                kernel_size=kernel_size,
                stride=draw(st.sampled_from([None, stride])),
                padding=padding,
                ceil_mode=draw(st.booleans()),
            )
        case "norm":
            return BatchNorm(name)
        case _:
            return Activation(name)


def _branched(draw: st.DrawFn, name: str, shape: Shape) -> AnyLayer:
    """A residual or parallel layer whose branches keep the map's size, or halve it."""
    stride = draw(st.integers(1, 2))
    filters = draw(st.integers(1, 3))

    def conv(label: str, stride: int) -> AnyLayer:
        k = draw(st.integers(1, 4))
        d = draw(st.integers(1, 2)) if k % 2 else 1
        return Conv2d(
            f"{name}_{label}", filters, kernel_size=k, stride=stride, padding="same", dilation=d
        )

    first, second, third = conv("a", stride), conv("b", 1), conv("c", stride)
    pool = MaxPool2d(f"{name}_pool", kernel_size=3, stride=stride, padding="same")
    if draw(st.booleans()):
        return Parallel(name, ((first, second), (third,), (pool,)))
    is_identity = stride == 1 and shape[0] == filters
    return Residual(name, (first, second), shortcut=() if is_identity else (third,))

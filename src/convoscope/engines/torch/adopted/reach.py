"""Which pixels can reach a cell of a module that somebody else wrote, found by asking it.

A gradient of NaN is sent back from the cell through a pass on noise: NaN times anything is NaN, so
that every pixel the cell's value can depend on receives NaN, and every other one 0. What would
stop it only because of the values that happen to be there is made passable: a ReLU passes all, a
max pooling sends back to all of its window. A convolution does not look at its filters, but at
its window, as arithmetic does; it computes nothing, so that this is quick.

Skip connections, branches, "same" padding done by hand, attention, squeeze-and-excitation: each
is run as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from convoscope.architecture.receptive_field import Box
from convoscope.engines.torch.convnet import ConvNet
from convoscope.engines.torch.hooks import watching
from convoscope.engines.torch.relu_rule import RECTIFIERS

_Function: TypeAlias = Callable[..., Any]


def reach(module: ConvNet, layer: str, row: int, column: int) -> Box:
    """The box around the pixels that can reach a cell of a layer's maps; all 0 if none can."""
    shape = (1, *module.architecture.input_shape)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=module.dtype)
    pixels = noise.to(module.device).requires_grad_()
    outputs: list[Tensor] = []
    watched = {layer: module.traceable()[layer]}
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        _Open(),
        watching(watched, lambda _, output: outputs.append(output), last=layer),
    ):
        module(pixels.clone())
    maps = module.as_maps(layer, outputs[-1], 1)
    if not maps.requires_grad:  # it depends on no pixel, or hides that it does
        return Box(0, 0, 0, 0)
    seeds = torch.zeros_like(maps)
    seeds.reshape(*maps.shape[:2], *(maps.shape[2:] or (1, 1)))[:, :, row, column] = torch.nan
    (grad,) = torch.autograd.grad(maps, pixels, seeds, allow_unused=True)
    return Box(0, 0, 0, 0) if grad is None else _box(grad[0].ne(0).any(dim=0))


def _box(seen: Tensor) -> Box:
    rows, columns = seen.any(dim=1).nonzero(), seen.any(dim=0).nonzero()
    if not len(rows):
        return Box(0, 0, 0, 0)
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


@final
class _Open(TorchFunctionMode):
    """A context in which everything passes gradients whatever its values are."""

    def __torch_function__(
        self,
        func: _Function,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in RECTIFIERS or func in _POINTWISE:
            return args[0] if args else kwargs["input"]
        opened = _OPENED.get(func)
        return func(*args, **kwargs) if opened is None else opened(func, *args, **kwargs)


class _Window(NamedTuple):
    """How a window slides over maps, per axis."""

    extent: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    dilation: tuple[int, int]


class _Slide(torch.autograd.Function):
    """Noise in the shape of an output; back from each place to all channels under its window."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shape: Sequence[int], window: _Window) -> Tensor:
        ctx.shape, ctx.window = x.shape, window
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand(tuple(shape), generator=generator, dtype=x.dtype)
        return noise.to(x.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,), window, (height, width) = grads, ctx.window, ctx.shape[2:]
        places = grad.ne(0).any(dim=1, keepdim=True).to(grad)
        kernel = grad.new_ones(1, 1, *window.extent)
        covered = functional.conv_transpose2d(
            places, kernel, stride=window.stride, dilation=window.dilation
        )
        top, left = window.before
        inside = covered[:, :, top : top + height, left : left + width] > 0
        below, right = height - inside.shape[2], width - inside.shape[3]
        seen = functional.pad(inside, (0, right, 0, below))
        grad_x = grad.new_zeros(seen.shape).masked_fill(seen, torch.nan)
        return grad_x.expand(ctx.shape), None, None


def _conv2d(
    func: _Function,
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    extent, dilations = _pair(weight.shape[2:]), _pair(dilation)
    before = _before(padding, extent, dilations)
    window = _Window(extent, _pair(stride), before, dilations)
    shape = func(_bare(input), _bare(weight), None, stride, padding, dilation, groups).shape
    return _Slide.apply(input, shape, window)  # type: ignore[no-any-return, no-untyped-call]


def _max_pool2d(
    func: _Function,
    input: Tensor,  # noqa: A002
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    extent = _pair(kernel_size)
    strides = _pair(stride) if stride not in (None, []) else extent
    window = _Window(extent, strides, _pair(padding), _pair(dilation))
    pooled, places = functional.max_pool2d_with_indices(
        input.detach(), kernel_size, stride, padding, dilation, ceil_mode
    )
    y = _Slide.apply(input, pooled.shape, window)  # type: ignore[no-untyped-call]
    is_pair = return_indices or func is functional.max_pool2d_with_indices
    return (y, places) if is_pair else y


def _adaptive_max_pool2d(
    func: _Function,
    input: Tensor,  # noqa: A002
    output_size: Any,
    return_indices: bool = False,
) -> Any:
    y = functional.adaptive_avg_pool2d(input, output_size)
    if not return_indices:
        return y
    return y, functional.adaptive_max_pool2d(input.detach(), output_size, return_indices=True)[1]


def _max(func: _Function, input: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
    """The maximum along an axis, which sends back to one place, as an amax, which sends to all."""
    found = func(input, *args, **kwargs)
    dim = kwargs.get("dim", args[0] if args else None)
    if not isinstance(dim, int):
        return found
    keepdim = kwargs.get("keepdim", args[1] if len(args) > 1 else False)
    return torch.return_types.max((input.amax(dim, keepdim), found.indices))


_POINTWISE = {
    functional.hardswish,
    functional.hardsigmoid,
    functional.hardtanh,
    functional.threshold,
    functional.softshrink,
    functional.hardshrink,
}
_OPENED: dict[_Function, Callable[..., Any]] = {
    functional.conv2d: _conv2d,
    torch.conv2d: _conv2d,
    functional.max_pool2d: _max_pool2d,
    torch.max_pool2d: _max_pool2d,
    functional.max_pool2d_with_indices: _max_pool2d,
    functional.adaptive_max_pool2d: _adaptive_max_pool2d,
    torch.max: _max,
    torch.Tensor.max: _max,
}


def _before(padding: Any, extent: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    if padding == "same":
        return (dilation[0] * (extent[0] - 1) // 2, dilation[1] * (extent[1] - 1) // 2)
    return (0, 0) if padding == "valid" else _pair(padding)


def _pair(value: Any) -> tuple[int, int]:
    first, *rest = (value,) if isinstance(value, int) else tuple(value)
    return int(first), int(rest[0] if rest else first)


def _bare(tensor: Tensor) -> Tensor:
    """Its shape without its values."""
    return torch.empty(tensor.shape, device="meta")

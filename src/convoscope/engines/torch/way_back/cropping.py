"""Convolutions whose way back computes only where a gradient is.

The gradient of one neuron is 0 outside its receptive field, exactly. While :class:`Cropping` is
active, every 2-D convolution looks, on the way back, which rows and columns of each image's
gradient hold anything, and computes on those alone. What comes out is what the whole would give,
for a product with 0 is 0: no receptive field has to be known, and branches, strides, borders and
dead ReLUs, which narrow it further, need no care.

Weights are constants here: only the gradient of the input is asked for. Where they are many, the
way forth is the shorter one of :mod:`~convoscope.engines.torch.way_back.winograd`, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from convoscope.engines.torch.way_back.packed import conv2d
from convoscope.engines.torch.way_back.sliding import Pair, Slide, format_of, input_gradient

_WORTH_A_CROP = 0.9


@final
class Cropping(TorchFunctionMode):
    """A context in which convolutions are made for a short way back."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in (functional.conv2d, torch.conv2d):
            call = _conv2d(*args, **(kwargs or {}))
            if call is not None:
                has_way_back = call[0].requires_grad and torch.is_grad_enabled()
                return (_Convolve.apply if has_way_back else conv2d)(*call)
        return func(*args, **(kwargs or {}))


def _conv2d(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Tensor | None, Slide] | None:
    """The call, if its way back, when there is one, can be cropped: of the input alone."""
    if input.ndim != 4:
        return None
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    if learns or isinstance(padding, str) or torch.is_autocast_enabled(input.device.type):
        return None
    conv = Slide(_pair(stride), _pair(padding), _pair(dilation), groups)
    return input, weight, bias, conv


class _Convolve(torch.autograd.Function):
    """A convolution; the gradient of its input is computed where the gradient of its output is."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, conv: Slide) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.conv, ctx.shape = conv, x.shape
        return conv2d(x, weight, bias, conv)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (grad,), (weight,), conv = grads, ctx.saved_tensors, ctx.conv
        boxes = _boxes(grad)
        size = grad.shape[2] * grad.shape[3]
        if sum(map(_area, boxes)) > _WORTH_A_CROP * size * len(boxes):
            return input_gradient(grad, weight, ctx.shape, conv), None, None, None
        grad_x = grad.new_zeros(ctx.shape).contiguous(memory_format=format_of(grad))
        for image, box in enumerate(boxes):
            if _area(box):
                _add_crop(grad_x[image : image + 1], grad[image : image + 1], box, weight, conv)
        return grad_x, None, None, None


_Box: TypeAlias = tuple[slice, slice]


def _boxes(grad: Tensor) -> list[_Box]:
    """Per image the rows and columns of a gradient (N, F, h, w) between which all of it lies."""
    places = (grad.amax(dim=1) != 0) | (grad.amin(dim=1) != 0)
    rows, columns = places.any(dim=2).cpu(), places.any(dim=1).cpu()
    return [(_span(row), _span(column)) for row, column in zip(rows, columns, strict=True)]


def _span(marked: Tensor) -> slice:
    found = marked.nonzero()
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _area(box: _Box) -> int:
    rows, columns = box
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _add_crop(into: Tensor, grad: Tensor, box: _Box, weight: Tensor, conv: Slide) -> None:
    """Write the input's gradient, of an output's gradient that is 0 outside the box, where it is.

    Without padding, the windows of the box's places lie on an area of the input that may hang
    over its border; what hangs over is padding and has no gradient.
    """
    spans = []
    for axis in (0, 1):
        start = box[axis].start * conv.stride[axis] - conv.padding[axis]
        places = box[axis].stop - box[axis].start
        extent = conv.dilation[axis] * (weight.shape[2 + axis] - 1) + 1
        spans.append((start, start + (places - 1) * conv.stride[axis] + extent))
    shape = (1, into.shape[1], *(stop - start for start, stop in spans))
    own = grad[:, :, *box].contiguous(memory_format=format_of(grad))
    crop = input_gradient(own, weight, shape, conv._replace(padding=(0, 0)))
    target, source = [], []
    for (start, stop), side in zip(spans, into.shape[2:], strict=True):
        first, end = max(start, 0), max(min(stop, side), 0)
        if first >= end:
            return
        target.append(slice(first, end))
        source.append(slice(first - start, end - start))
    into[:, :, *target] = crop[:, :, *source]


def _pair(value: Any) -> Pair:
    first, second = (value, value) if isinstance(value, int) else tuple(value) * (3 - len(value))
    return int(first), int(second)

"""How a convolution slides, and its way back as PyTorch computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

Pair: TypeAlias = tuple[int, int]
"""Along the rows and along the columns."""


class Slide(NamedTuple):
    """How a convolution slides."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


def input_gradient(grad: Tensor, weight: Tensor, shape: Sequence[int], slide: Slide) -> Tensor:
    """The gradient of a convolution's input of that shape, from the gradient of its output."""
    like = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=format_of(grad))
    grad_x: Tensor = torch.ops.aten.convolution_backward(
        grad,
        like,  # of which only the shape is read
        weight,
        None,
        slide.stride,
        slide.padding,
        slide.dilation,
        False,
        (0, 0),
        slide.groups,
        (True, False, False),
    )[0]
    return grad_x


def format_of(like: Tensor) -> torch.memory_format:
    """Channels last, if that is how the maps (N, C, H, W) lie in memory."""
    is_last = like.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format

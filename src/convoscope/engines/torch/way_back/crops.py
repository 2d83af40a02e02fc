"""Parts of maps that hold a gradient, and what they cover below.

The gradient of a neuron begins with one cell and grows by a window at each layer: a crop is where
it is, and where that lies in its map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from convoscope.engines.torch.modules import Conv, Nonlinearity
from convoscope.engines.torch.pooling import MaxPool


@final
@dataclass(frozen=True, slots=True)
class Link:
    """A module of a chain, what it was given and what it gave, (N, C, H, W)."""

    module: nn.Module
    given: Tensor
    gave: Tensor

    @property
    def function(self) -> str | None:
        """What the module ends with, if it computes a convolution or a nonlinearity."""
        match self.module:
            case Conv():
                return self.module.activation
            case Nonlinearity():
                return self.module.function
            case _:
                return None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A gradient (1, C, h, w) whose first cell is (top, left) of an image's map; it is 0 elsewhere.

    ``start`` says which of several neurons it comes from, ``is_positive`` whether negative values
    have been cut off already.
    """

    grad: Tensor
    top: int
    left: int
    image: int
    start: int = 0
    is_positive: bool = False

    def within(self, maps: Tensor) -> Tensor:
        """The cells of the maps (N, C, H, W) where the gradient is, (1, C, h, w)."""
        (height, width), image = self.grad.shape[2:], self.image
        rows, columns = slice(self.top, self.top + height), slice(self.left, self.left + width)
        return maps[image : image + 1, :, rows, columns]


class Margins(NamedTuple):
    """What lies around a crop, in cells, in the order of ``functional.pad``."""

    left: int
    right: int
    above: int
    below: int


def windows(
    crop: Crop, stride: Sequence[int], before: Sequence[int], extent: Sequence[int]
) -> tuple[range, range]:
    """The rows and columns that the windows of the crop's cells cover; padding counts, from -1
    backwards and from the border on.
    """
    spans = []
    for axis, first in enumerate((crop.top, crop.left)):
        start = first * stride[axis] - before[axis]
        length = (crop.grad.shape[2 + axis] - 1) * stride[axis] + extent[axis]
        spans.append(range(start, start + length))
    return spans[0], spans[1]


def inside(crop: Crop, grad: Tensor, rows: range, columns: range, given: Tensor) -> Crop:
    """The part of the crop's gradient below, over these rows and columns, that is no padding."""
    height, width = given.shape[2:]
    top, left = max(rows.start, 0), max(columns.start, 0)
    bottom, right = max(min(rows.stop, height), top), max(min(columns.stop, width), left)
    own = grad[
        :, :, top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
    ]
    return Crop(grad=own, top=top, left=left, image=crop.image, start=crop.start)


def frame(like: Tensor, zeros: Margins, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Room for maps like these (1, C, h, w) with zeros around, and the part to be filled."""
    left, right, above, below = zeros
    channels, height, width = like.shape[1:]
    size = (1, channels, above + height + below, left + width + right)
    whole = torch.empty(size, dtype=like.dtype, device=like.device, memory_format=layout)
    for margin in (
        whole[:, :, :above],
        whole[:, :, above + height :],
        whole[:, :, :, :left],
        whole[:, :, :, left + width :],
    ):
        if margin.numel():
            margin.zero_()
    return whole, whole[:, :, above : above + height, left : left + width]


def padding_before(module: Conv | MaxPool) -> tuple[int, int]:
    """The padding above and to the left."""
    left, _, top, _ = module.extra
    rows, columns = module.padding
    return rows + top, columns + left

"""Pooling as PyTorch modules, and the padding that windows of every kind ask for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.layers import AvgPool2d, MaxPool2d
from convoscope.architecture.windows import Window


class MaxPool(nn.Module):
    """:class:`~convoscope.architecture.layers.MaxPool2d`."""

    def __init__(self, layer: MaxPool2d, window: Window) -> None:
        super().__init__()
        self.kernel_size, self.stride = window.extent, window.stride
        self.padding, self.extra = padding_of(window)
        self.ceil_mode = layer.ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        return functional.max_pool2d(
            padded(x, self.extra, float("-inf")),
            self.kernel_size,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
        )


class AvgPool(nn.Module):
    """:class:`~convoscope.architecture.layers.AvgPool2d`.

    PyTorch counts only the pixels inside where the padding is its own. Where it is uneven, the
    padded maps are summed and divided by the number of pixels inside each window.
    """

    def __init__(self, layer: AvgPool2d, window: Window) -> None:
        super().__init__()
        self.kernel_size, self.stride = window.extent, window.stride
        self.padding, self.extra = padding_of(window)
        self.ceil_mode = layer.ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        if not any(self.extra):
            return functional.avg_pool2d(
                x,
                self.kernel_size,
                self.stride,
                self.padding,
                ceil_mode=self.ceil_mode,
                count_include_pad=False,
            )
        return self._sum(x) / self._sum(torch.ones_like(x[:1, :1]))

    def _sum(self, x: Tensor) -> Tensor:
        wide = padded(x, self.extra)
        return functional.avg_pool2d(wide, self.kernel_size, self.stride, divisor_override=1)


class GlobalMax(nn.Module):
    """:class:`~convoscope.architecture.layers.GlobalMaxPool`.

    Of several equal maxima the first, row by row, gets the gradient, as in a max pool.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        return x.flatten(2).max(dim=2).values


class GlobalMean(nn.Module):
    """:class:`~convoscope.architecture.layers.GlobalAvgPool`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        return x.mean(dim=(2, 3))


def padding_of(window: Window) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Padding that the operation does itself, and what has to be added before, by ``pad``.

    The operations pad alike on both sides; only uneven padding costs a copy of the maps.
    """
    if window.before == window.after:
        return window.before, (0, 0, 0, 0)
    (top, left), (bottom, right) = window.before, window.after
    return (0, 0), (left, right, top, bottom)


def padded(x: Tensor, extra: tuple[int, int, int, int], value: float = 0.0) -> Tensor:
    """Maps (N, C, H, W) with that many cells of ``value`` left, right, above and below."""
    return functional.pad(x, extra, value=value) if any(extra) else x

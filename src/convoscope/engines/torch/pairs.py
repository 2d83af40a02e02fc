"""Convolutions of colour images with few filters, two neighbouring outputs at a time.

oneDNN computes the filters of a place side by side, sixteen to a vector of AVX-512. A first layer
of eight filters leaves half of every vector empty. Here each filter is taken twice, the second one
a stride further to the right, and the windows slide by two strides: the vectors are full, for a
kernel that is wider by one stride. With channels innermost in memory the two outputs already lie
where the plain convolution would have put them.

So that the wider kernel stays within what oneDNN is fast at, a row of the image is read as cells of
one stride, whose pixels are channels: again the same memory. The gradients come out of the same
steps backwards; only the order of their sums is another one.

For architecture-1 at 224 x 224, one thread of an AMD EPYC: 16.6 ms instead of 20.6 a step. Gray
images have a kernel of their own in oneDNN, which this does not beat.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_COLOURS = 3
_LANES = 16  # float32 in a vector of AVX-512
_WIDEST = 14  # cells of a kernel that oneDNN's way back has fast code for
_WORTH = 0.75  # of the multiplications with half-empty vectors, those that may be left


def pairs_pay(x: Tensor, weight: Tensor, stride: int, padding: int) -> bool:
    """Whether :func:`conv2d_in_pairs` computes this, and faster than one output at a time.

    ``x`` (N, 3, H, W), ``weight`` (F, 3, k, k), one stride and one padding for both directions.
    """
    filters, channels, _, kernel = weight.shape
    cells = _cells(kernel, stride)
    if channels != _COLOURS or 2 * filters > _LANES or cells > _WIDEST:
        return False
    saves = cells * stride <= _WORTH * 2 * kernel
    outputs = (x.shape[3] + 2 * padding - kernel) // stride + 1
    fits = not (outputs % 2 or x.shape[3] % stride or padding % stride)
    is_plain = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    return (
        fits
        and saves
        and is_plain
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and not torch.is_autocast_enabled("cpu")
    )


def conv2d_in_pairs(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
) -> Tensor:
    """The convolution of ``x`` (N, C, H, W) with ``weight`` (F, C, k, k): (N, F, H', W').

    ``W'`` must be even, and ``W`` and ``padding`` multiples of the stride.
    """
    images, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(images, height, width // stride, stride * channels)
    pairs = functional.conv2d(
        rows.permute(0, 3, 1, 2),
        _twice(weight, stride),
        None if bias is None else bias.repeat(2),
        (stride, 2),
        (padding, padding // stride),
    )
    maps = pairs.permute(0, 2, 3, 1).reshape(images, pairs.shape[2], -1, len(weight))
    return maps.permute(0, 3, 1, 2)


def _twice(weight: Tensor, stride: int) -> Tensor:
    """Filters (F, C, k, k) and again, a stride further: (2F, stride * C, k, cells)."""
    filters, channels, height, width = weight.shape
    cells = _cells(width, stride)
    after = cells * stride - width
    places = [(0, after), (stride, after - stride)]
    both = torch.cat([functional.pad(weight, place) for place in places])
    pixels = both.reshape(2 * filters, channels, height, cells, stride)
    inner = pixels.permute(0, 4, 1, 2, 3).reshape(2 * filters, stride * channels, height, cells)
    return inner.contiguous(memory_format=torch.channels_last)


def _cells(kernel: int, stride: int) -> int:
    """How many cells of one stride a kernel and the same a stride further cover together."""
    return -(-(kernel + stride) // stride)

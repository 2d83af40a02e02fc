"""Convolutions with weights laid out once for many, the way back as a convolution itself.

The gradient of a convolution's input is the convolution of its output's gradient with the same
filters, transposed and flipped (Dumoulin and Visin 2016, https://arxiv.org/abs/1603.07285, section
4). PyTorch lays the weights out anew for oneDNN at every call; for many small gradients through
the same layer that is a good part of the time, and oneDNN's forward operator is the faster one.
Wide layers of 3 x 3 filters do with a quarter of the multiplications besides, in both directions
(:mod:`~convoscope.engines.torch.way_back.winograd`). The operators are those that PyTorch's own
compiler uses; where they are not to be had, everything is as PyTorch does it.

What was laid out is kept for as long as the weights live, or until they are changed.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from convoscope.engines.torch.onednn import has_operators
from convoscope.engines.torch.way_back.sliding import Pair, Slide, input_gradient
from convoscope.engines.torch.way_back.winograd import TILE, TiledFilters, tiles_of

_OPERATORS = (
    "_convolution_pointwise",
    "_linear_pointwise",
    "_reorder_convolution_weight",
    "_reorder_linear_weight",
)
_MANY_CHANNELS = 256
_MANY_TILES = 24


@final
class _LaidOut:
    """A convolution's weights as oneDNN likes them, each way made when it is first asked for."""

    def __init__(self, weight: Tensor) -> None:
        self.version = weight.data_ptr(), weight._version
        self.back: Tensor | None = None
        self.tiles: TiledFilters | None = None
        self.tiles_back: TiledFilters | None = None


_laid_out: MutableMapping[Tensor, _LaidOut] = WeakTensorKeyDictionary()


def packed_input_gradient(
    grad: Tensor,
    weight: Tensor,
    shape: Sequence[int],
    slide: Slide,
    then: Literal["none", "relu"] = "none",
) -> Tensor:
    """See :func:`~convoscope.engines.torch.way_back.sliding.input_gradient`.

    ``then`` is what is done to it at once, which costs no pass of its own.
    """
    extent = [dilation * (side - 1) for dilation, side in _sides(weight, slide)]
    padding = [reach - own for reach, own in zip(extent, slide.padding, strict=True)]
    if not _is_plain(grad, weight, slide) or min(padding) < 0:
        found = input_gradient(grad, weight, shape, slide)
        return found.clamp_(min=0) if then == "relu" else found
    kept = _kept(weight)
    if kept.back is None:
        kept.back = torch.ops.mkldnn._reorder_convolution_weight(
            _turned(weight), padding, (1, 1), slide.dilation, 1, tuple(grad.shape)
        )
    packed_found: Tensor = torch.ops.mkldnn._convolution_pointwise(
        grad, kept.back, None, padding, (1, 1), slide.dilation, 1, then, [], ""
    )
    return packed_found


def tiled_input_gradients(
    grads: Sequence[Tensor], weight: Tensor, then: Literal["none", "relu"] = "none"
) -> list[Tensor]:
    """The same of a 3 x 3 convolution, with all zeros already around ``grads``, and tiles whole.

    Each of ``grads`` (1, F, 4a + 2, 4b + 2), of any size, to (1, C, 4a, 4b).
    """
    kept = _kept(weight)
    if kept.tiles_back is None:
        kept.tiles_back = TiledFilters(_turned(weight))
    found = [kept.tiles_back.room_for(grad) for grad in grads]
    kept.tiles_back.convolve(grads, found, least=0 if then == "relu" else None)
    return found


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, slide: Slide) -> Tensor:
    """As ``functional.conv2d``, tile by tile where that pays."""
    if tiles_pay(x, weight, slide, len(x) * tiles_of(_given_by(x, slide.padding))):
        return tiled_conv2d(x, weight, bias, slide.padding)
    return functional.conv2d(x, weight, bias, *slide)


def tiled_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Pair) -> Tensor:
    """A 3 x 3 convolution, (N, C, H, W) to (N, F, H', W')."""
    kept = _kept(weight)
    if kept.tiles is None:
        kept.tiles = TiledFilters(weight)
    height, width = _given_by(x, padding)
    missing = -height % TILE, -width % TILE
    around = (padding[1], padding[1] + missing[1], padding[0], padding[0] + missing[0])
    framed = functional.pad(x, around)
    found = kept.tiles.room_for(framed)
    kept.tiles.convolve(torch.split(framed, 1), torch.split(found, 1), bias=bias)
    if not any(missing):
        return found
    return found[:, :, :height, :width].contiguous(memory_format=torch.channels_last)


def tiles_pay(maps: Tensor, weight: Tensor, slide: Slide, tiles: int) -> bool:
    """Whether so many tiles of outputs, forth or back, are found faster as such.

    ``maps`` (N, C, H, W) say where and how the inputs lie in memory. The measure was taken on two
    cores of an AMD EPYC: a layer of 512 channels on maps of 28 x 28 takes half the time, one of 256
    on 56 x 56 three quarters, one of 128 on 112 x 112 more.
    """
    return (
        tuple(weight.shape[2:]) == (3, 3)
        and slide.dilation == (1, 1)
        and min(weight.shape[:2]) >= _MANY_CHANNELS
        and tiles >= _MANY_TILES
        and _is_plain(maps, weight, slide)
        and maps.is_contiguous(memory_format=torch.channels_last)
    )


def _given_by(x: Tensor, padding: Pair) -> Pair:
    """The size (h, w) of what a 3 x 3 convolution makes of maps (N, C, H, W)."""
    return x.shape[2] + 2 * padding[0] - 2, x.shape[3] + 2 * padding[1] - 2


def _kept(weight: Tensor) -> _LaidOut:
    """What was made of these weights as they are now."""
    kept = _laid_out.get(weight, None)
    if kept is None or kept.version != (weight.data_ptr(), weight._version):
        kept = _laid_out[weight] = _LaidOut(weight)
    return kept


def _sides(weight: Tensor, slide: Slide) -> list[tuple[int, int]]:
    return list(zip(slide.dilation, weight.shape[2:], strict=True))


def _turned(weight: Tensor) -> Tensor:
    return weight.detach().flip(2, 3).transpose(0, 1).contiguous()


def _is_plain(maps: Tensor, weight: Tensor, slide: Slide) -> bool:
    """Whether oneDNN computes it: on a CPU, in float32, every place in one group."""
    floats = maps.dtype == weight.dtype == torch.float32 and maps.device.type == "cpu"
    is_one = slide.stride == (1, 1) and slide.groups == 1
    return floats and is_one and not weight.is_inference() and has_operators(*_OPERATORS)

"""The way back from one neuron, on the part of every map that can reach it.

The gradient of a neuron begins with one cell and grows by a window at each layer. Along a plain
chain of layers - convolutions, ReLUs, max poolings, batch norms - it is computed here on just
that part of each map, from the activations that the forward pass has left; the values are those
of the whole, bit for bit up to the order of sums. Where the chain ends, at a branch for example,
the crop is put in its place in a map of zeros, and autograd goes on from there.

On a CPU, where this is used, half of VGG19's work is saved for a typical neuron of its last
convolution, and nearly all of it for one of a middle layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope.engines.torch.cropping import Slide, input_gradient
from convoscope.engines.torch.modules import Conv, Drop, Nonlinearity, Normalise
from convoscope.engines.torch.packed import PackedWeights
from convoscope.engines.torch.pooling import MaxPool
from convoscope.engines.torch.relu_rule import rectified_gradient
from convoscope.network import ReluRule

_FEW = 100_000
_TOPS: dict[str | None, float | None] = {None: None, "relu": math.inf, "relu6": 6.0}


@dataclass(frozen=True, slots=True)
class Link:
    """A module of a chain, what it was given and what it gave, (N, C, H, W)."""

    module: nn.Module
    given: Tensor
    gave: Tensor


@dataclass(frozen=True, slots=True)
class _Crop:
    """A gradient (1, C, h, w) whose first cell is (top, left) of its map; it is 0 elsewhere."""

    grad: Tensor
    top: int
    left: int

    def within(self, maps: Tensor) -> Tensor:
        """The cells of an image's maps (1, C, H, W) where the gradient is."""
        height, width = self.grad.shape[2:]
        return maps[:, :, self.top : self.top + height, self.left : self.left + width]


def links_between(
    chain: Mapping[str, tuple[nn.Module, Tensor]], layer: str, wrt: str
) -> list[Link]:
    """The links from ``layer`` down to ``wrt``, or to the first that cannot be passed on crops.

    ``chain`` has by name, in computing order, the modules of a chain and what each gave; the first
    one's module does not matter.
    """
    if layer not in chain:
        return []
    names = list(chain)
    names = names[names.index(wrt) if wrt in chain else 0 : names.index(layer) + 1]
    links: list[Link] = []
    for below, name in reversed(list(pairwise(names))):
        module, gave = chain[name]
        if not _can_crop(module):
            break
        links.append(Link(module, chain[below][1], gave))
    return links


def _can_crop(module: nn.Module) -> bool:
    match module:
        case Conv():
            return module.activation in _TOPS
        case Nonlinearity():
            return module.function in _TOPS
        case MaxPool() | Normalise() | Drop():
            return True
        case _:
            return False


def chain_gradient(
    links: Sequence[Link], seeds: Tensor, rule: ReluRule, weights: PackedWeights
) -> Tensor:
    """The gradient of what the last of the links was given, (N, C, H, W).

    ``links`` go from the neurons' layer down; ``seeds`` (N, C, h, w) hold, per image, one cell
    that is not 0. ``weights`` serve all gradients of a trace.
    """
    grads = torch.zeros_like(links[-1].given)
    for image, _, row, column in seeds.nonzero().tolist():
        crop = _Crop(seeds[image, :, row, column].reshape(1, -1, 1, 1), row, column)
        for link in links:
            given, gave = link.given[image : image + 1], link.gave[image : image + 1]
            crop = _back(crop, link.module, given, gave, rule, weights)
            if crop.grad.numel() < _FEW and not crop.grad.any():
                break  # a neuron that is silent, or sees only padding
        else:
            crop.within(grads[image : image + 1]).copy_(crop.grad)
    return grads


def _back(
    crop: _Crop,
    module: nn.Module,
    given: Tensor,
    gave: Tensor,
    rule: ReluRule,
    weights: PackedWeights,
) -> _Crop:
    match module:
        case Conv():
            crop = _rectified(crop, gave, module.activation, rule)
            return _conv_back(crop, module, given, weights)
        case Nonlinearity():
            return _rectified(crop, gave, module.function, rule)
        case MaxPool():
            return _max_pool_back(crop, module, given)
        case Normalise():
            scale = module.weight * torch.rsqrt(module.running_var + module.eps)
            return _Crop(crop.grad * scale.reshape(1, -1, 1, 1), crop.top, crop.left)
        case _:
            return crop


def _rectified(crop: _Crop, gave: Tensor, function: str | None, rule: ReluRule) -> _Crop:
    top = _TOPS[function]
    if top is None:
        return crop
    return _Crop(rectified_gradient(crop.grad, crop.within(gave), top, rule), crop.top, crop.left)


def _conv_back(crop: _Crop, conv: Conv, given: Tensor, weights: PackedWeights) -> _Crop:
    """The gradient of just those cells that the crop's windows cover and that are no padding.

    A convolution's way back pads alike on both sides. Where windows hang over one border of the
    map only, zeros are put before the other: what it then cuts off is padding on the one side and
    nothing on the other.
    """
    extent = [conv.dilation * (side - 1) + 1 for side in conv.weight.shape[2:]]
    covered = _windows(crop, (conv.stride, conv.stride), _before(conv), extent)
    slide = Slide((conv.stride, conv.stride), (0, 0), (conv.dilation, conv.dilation), conv.groups)
    if conv.stride > 1:
        shape = (1, given.shape[1], *map(len, covered))
        return _inside(input_gradient(crop.grad, conv.weight, shape, slide), *covered, given)
    inside = [
        range(side)[max(span.start, 0) : max(span.stop, 0)]
        for span, side in zip(covered, given.shape[2:], strict=True)
    ]
    if not all(inside):
        return _Crop(crop.grad[:, :, :0], 0, 0)
    cuts = [
        (own.start - span.start, span.stop - own.stop)
        for own, span in zip(inside, covered, strict=True)
    ]
    (top, bottom), (left, right) = cuts
    padding = max(top, bottom), max(left, right)
    zeros = (padding[1] - left, padding[1] - right, padding[0] - top, padding[0] - bottom)
    grad = functional.pad(crop.grad, zeros) if any(zeros) else crop.grad
    shape = (1, given.shape[1], *map(len, inside))
    found = weights.input_gradient(grad, conv.weight, shape, slide._replace(padding=padding))
    return _Crop(found, inside[0].start, inside[1].start)


def _max_pool_back(crop: _Crop, pool: MaxPool, given: Tensor) -> _Crop:
    """The windows of the crop, pooled once more, say where each maximum was."""
    rows, columns = _windows(crop, pool.stride, _before(pool), pool.kernel_size)
    height, width = given.shape[2:]
    own = given[:, :, max(rows.start, 0) : rows.stop, max(columns.start, 0) : columns.stop]
    beyond = (
        max(-columns.start, 0),
        max(columns.stop - width, 0),
        max(-rows.start, 0),
        max(rows.stop - height, 0),
    )
    if any(beyond):
        own = functional.pad(own, beyond, value=float("-inf"))
    _, places = functional.max_pool2d(own, pool.kernel_size, pool.stride, return_indices=True)
    grad: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
        crop.grad, own, pool.kernel_size, pool.stride, (0, 0), (1, 1), False, places
    )
    return _inside(grad, rows, columns, given)


def _windows(
    crop: _Crop, stride: Sequence[int], before: Sequence[int], extent: Sequence[int]
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


def _inside(grad: Tensor, rows: range, columns: range, given: Tensor) -> _Crop:
    """The part of a gradient over these rows and columns that does not lie in padding."""
    height, width = given.shape[2:]
    top, left = max(rows.start, 0), max(columns.start, 0)
    bottom, right = max(min(rows.stop, height), top), max(min(columns.stop, width), left)
    own = grad[
        :, :, top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
    ]
    return _Crop(own, top, left)


def _before(module: Conv | MaxPool) -> tuple[int, int]:
    """The padding above and to the left."""
    left, _, top, _ = module.extra
    rows, columns = module.padding
    return rows + top, columns + left

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope.engines.torch.cropping import Slide, format_of, input_gradient
from convoscope.engines.torch.maxima import Maxima, kept_at, lie_side_by_side
from convoscope.engines.torch.modules import Conv, Drop, Nonlinearity, Normalise
from convoscope.engines.torch.packed import PackedWeights
from convoscope.engines.torch.pooling import MaxPool
from convoscope.engines.torch.relu_rule import rectified_gradient
from convoscope.network import ReluRule

_FEW = 100_000
_TOPS: dict[str | None, float | None] = {None: None, "relu": math.inf, "relu6": 6.0}


@final
@dataclass(frozen=True, slots=True)
class Link:
    """A module of a chain, what it was given and what it gave, (N, C, H, W)."""

    module: nn.Module
    given: Tensor
    gave: Tensor

    def of(self, image: int) -> Link:
        """The same for one image alone, (1, C, H, W)."""
        return Link(self.module, self.given[image : image + 1], self.gave[image : image + 1])

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
@dataclass(frozen=True, slots=True)
class Prepared:
    """What is worked out once and serves all gradients of a trace."""

    weights: PackedWeights = field(default_factory=PackedWeights)
    maxima: Maxima = field(default_factory=Maxima)


@dataclass(frozen=True, slots=True)
class _Crop:
    """A gradient (1, C, h, w) whose first cell is (top, left) of its map; it is 0 elsewhere.

    ``is_positive`` where negative values have been cut off already.
    """

    grad: Tensor
    top: int
    left: int
    is_positive: bool = False

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


@torch.no_grad()
def chain_gradient(
    links: Sequence[Link], seeds: Tensor, rule: ReluRule, prepared: Prepared
) -> Tensor:
    """The gradient of what the last of the links was given, (N, C, H, W).

    ``links`` go from the neurons' layer down; ``seeds`` (N, C, h, w) hold, per image, one cell
    that is not 0.
    """
    way = _Way(links, rule, prepared)
    grads = torch.zeros_like(links[-1].given)
    for image, _, row, column in seeds.nonzero().tolist():
        crop = _Crop(seeds[image, :, row, column].reshape(1, -1, 1, 1), row, column)
        for step in range(len(links)):
            crop = way.back(step, crop, image)
            if crop.grad.numel() < _FEW and not crop.grad.any():
                break  # a neuron that is silent, or sees only padding
        else:
            crop.within(grads[image : image + 1]).copy_(crop.grad)
    return grads


class _Way:
    """The way down some links by a rule."""

    def __init__(self, links: Sequence[Link], rule: ReluRule, prepared: Prepared) -> None:
        self._links, self._rule, self._prepared = links, rule, prepared
        self._cuts_next = [
            rule != "plain" and _rectifies_first(links[step + 1 :]) for step in range(len(links))
        ]

    def back(self, step: int, crop: _Crop, image: int) -> _Crop:
        """The gradient of what the step's link was given, of that of what it gave."""
        whole = self._links[step]
        link = whole.of(image)
        match link.module:
            case Conv():
                return self._conv_back(crop, link, cut=self._cuts_next[step])
            case Nonlinearity():
                return _Crop(self._rectified(crop, link), crop.top, crop.left)
            case MaxPool() if lie_side_by_side(link.module, link.given):
                places = self._prepared.maxima.among(whole.given, link.module)[image : image + 1]
                return _disjoint_pool_back(crop, link.module, places)
            case MaxPool():
                return _max_pool_back(crop, link.module, link.given)
            case Normalise():
                scale = link.module.weight * torch.rsqrt(link.module.running_var + link.module.eps)
                return _Crop(crop.grad * scale.reshape(1, -1, 1, 1), crop.top, crop.left)
            case _:
                return crop

    def _rectified(
        self, crop: _Crop, link: Link, zeros: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> Tensor:
        """The gradient of what the link's ReLU was given, if it has one, (1, C, h, w), between
        that many zeros on the left, on the right, above and below.
        """
        top = _TOPS[link.function]
        if top is None:
            return functional.pad(crop.grad, zeros) if any(zeros) else crop.grad
        gave = crop.within(link.gave)
        whole, inside = _frame(gave, zeros, format_of(link.gave))
        is_cut = crop.is_positive and self._rule == "guided"
        rectified_gradient(crop.grad, gave, top, "plain" if is_cut else self._rule, out=inside)
        return whole

    def _conv_back(self, crop: _Crop, link: Link, *, cut: bool) -> _Crop:
        """The gradient of just those cells that the crop's windows cover and that are no padding;
        where ``cut``, without its negative values.

        A convolution's way back pads alike on both sides. Where windows hang over one border of
        the map only, zeros are put before the other: what it then cuts off is padding on the one
        side and nothing on the other.
        """
        conv, given = link.module, link.given
        assert isinstance(conv, Conv)
        extent = [conv.dilation * (side - 1) + 1 for side in conv.weight.shape[2:]]
        covered = _windows(crop, (conv.stride, conv.stride), _before(conv), extent)
        slide = Slide(
            (conv.stride, conv.stride), (0, 0), (conv.dilation, conv.dilation), conv.groups
        )
        if conv.stride > 1:
            shape = (1, given.shape[1], *map(len, covered))
            found = input_gradient(self._rectified(crop, link), conv.weight, shape, slide)
            return _inside(found, *covered, given)
        inside = [
            range(side)[max(span.start, 0) : max(span.stop, 0)]
            for span, side in zip(covered, given.shape[2:], strict=True)
        ]
        if not all(inside):
            return _Crop(crop.grad[:, :, :0], 0, 0)
        (top, bottom), (left, right) = (
            (own.start - span.start, span.stop - own.stop)
            for own, span in zip(inside, covered, strict=True)
        )
        padding = max(top, bottom), max(left, right)
        zeros = (padding[1] - left, padding[1] - right, padding[0] - top, padding[0] - bottom)
        found = self._prepared.weights.input_gradient(
            self._rectified(crop, link, zeros),
            conv.weight,
            (1, given.shape[1], *map(len, inside)),
            slide._replace(padding=padding),
            then="relu" if cut else "none",
        )
        return _Crop(found, inside[0].start, inside[1].start, is_positive=cut)


def _rectifies_first(links: Iterable[Link]) -> bool:
    """Whether a gradient meets a ReLU before anything that mixes values of it."""
    for link in links:
        match link.module:
            case Conv() | Nonlinearity():
                return _TOPS[link.function] is not None
            case MaxPool() if lie_side_by_side(link.module, link.given):
                continue
            case Drop():
                continue
            case _:
                return False
    return False


def _frame(
    like: Tensor, zeros: tuple[int, int, int, int], layout: torch.memory_format
) -> tuple[Tensor, Tensor]:
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


def _disjoint_pool_back(crop: _Crop, pool: MaxPool, places: Tensor) -> _Crop:
    (rows, columns), grad = pool.stride, crop.grad
    top, left = crop.top * rows, crop.left * columns
    own = places[:, :, top : top + grad.shape[2] * rows, left : left + grad.shape[3] * columns]
    return _Crop(kept_at(own, grad, pool.kernel_size), top, left, crop.is_positive)


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

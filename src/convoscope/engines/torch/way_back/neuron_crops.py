"""The way back from single neurons, on the part of every map that can reach them.

The gradient of a neuron begins with one cell and grows by a window at each layer. Along a plain
chain of layers - convolutions, ReLUs, max poolings, batch norms - it is computed here on just
that part of each map, from the activations that the forward pass has left; the values are those
of the whole but for rounding. Where the chain ends, at a branch for example,
the crop is put in its place in a map of zeros, and autograd goes on from there.

On a CPU, where this is used, half of VGG19's work is saved for a typical neuron of its last
convolution, and nearly all of it for one of a middle layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope.engines.torch.modules import Conv, Drop, Nonlinearity, Normalise
from convoscope.engines.torch.pooling import MaxPool
from convoscope.engines.torch.relu_rule import rectified_gradient
from convoscope.engines.torch.way_back.conv_back import conv_back
from convoscope.engines.torch.way_back.crops import (
    Crop,
    Link,
    Margins,
    frame,
    inside,
    padding_before,
    windows,
)
from convoscope.engines.torch.way_back.maxima import Maxima, kept_at, lie_side_by_side
from convoscope.engines.torch.way_back.sliding import format_of
from convoscope.network import ReluRule

_FEW = 100_000
_TOGETHER = 16  # neurons of every image
_FIT_TOGETHER = 8_000_000  # values of their gradients, what the last cache of a processor holds
_TOPS: dict[str | None, float | None] = {None: None, "relu": math.inf, "relu6": 6.0}


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


def chain_gradients(
    links: Sequence[Link], starts: Sequence[Tensor], rule: ReluRule, maxima: Maxima
) -> Iterator[Tensor]:
    """Per start the gradient of what the last of the links was given, (N, C, H, W).

    ``links`` go from the neurons' layer down; each of ``starts`` (N, C, h, w) holds, per image, one
    cell that is not 0. ``maxima`` serve all gradients of a trace.
    """
    way = _Way(links, rule, maxima)
    for first in range(0, len(starts), _TOGETHER):
        yield from way.gradients(starts[first : first + _TOGETHER])


class _Way:
    """The way down some links by a rule."""

    def __init__(self, links: Sequence[Link], rule: ReluRule, maxima: Maxima) -> None:
        self._links, self._rule, self._maxima = links, rule, maxima
        self._cuts_next = [
            rule != "plain" and _rectifies_first(links[step + 1 :]) for step in range(len(links))
        ]

    @torch.no_grad()
    def gradients(self, starts: Sequence[Tensor]) -> list[Tensor]:
        """See :func:`chain_gradients`."""
        grads = [torch.zeros_like(self._links[-1].given) for _ in starts]
        crops = [
            Crop(
                grad=seeds[image, :, row, column].reshape(1, -1, 1, 1),
                top=row,
                left=column,
                image=image,
                start=start,
            )
            for start, seeds in enumerate(starts)
            for image, _, row, column in seeds.nonzero().tolist()
        ]
        for crop in self._down(crops):
            crop.within(grads[crop.start]).copy_(crop.grad)
        return grads

    def _down(self, crops: Sequence[Crop], step: int = 0) -> Iterable[Crop]:
        """What becomes of the crops from the step on; those of silent neurons, and of neurons that
        see only padding, are not among them.

        They go together as long as their gradients are small, for every layer's weights are then
        read once for all; after that one by one, for each one's gradient then stays in the cache.
        """
        while step < len(self._links) and crops:
            if len(crops) > 1 and sum(crop.grad.numel() for crop in crops) > _FIT_TOGETHER:
                for crop in crops:
                    yield from self._down([crop], step)
                return
            crops = [crop for crop in self._back(step, crops) if not _is_silent(crop)]
            step += 1
        yield from crops

    def _back(self, step: int, crops: Sequence[Crop]) -> Sequence[Crop]:
        """The gradients of what the step's link was given, of those of what it gave."""
        link = self._links[step]
        if isinstance(link.module, Conv):
            return conv_back(crops, link, self._rectified, cut=self._cuts_next[step])
        return [self._unmixed_back(crop, link) for crop in crops]

    def _unmixed_back(self, crop: Crop, link: Link) -> Crop:
        """The same through what leaves the channels apart."""
        match link.module:
            case Nonlinearity():
                grad = self._rectified(crop, link, Margins(0, 0, 0, 0))
                return replace(crop, grad=grad, is_positive=False)
            case MaxPool() if lie_side_by_side(link.module, link.given):
                return _disjoint_pool_back(
                    crop, link.module, self._maxima.among(link.given, link.module)
                )
            case MaxPool():
                return _max_pool_back(crop, link.module, link.given)
            case Normalise():
                scale = link.module.weight * torch.rsqrt(link.module.running_var + link.module.eps)
                grad = crop.grad * scale.reshape(1, -1, 1, 1)
                return replace(crop, grad=grad, is_positive=False)
            case _:
                return crop

    def _rectified(self, crop: Crop, link: Link, zeros: Margins) -> Tensor:
        """The gradient of what the link's ReLU was given, if it has one, (1, C, h, w), between
        zeros.
        """
        top = _TOPS[link.function]
        if top is None:
            return functional.pad(crop.grad, zeros) if any(zeros) else crop.grad
        gave = crop.within(link.gave)
        whole, own = frame(gave, zeros, format_of(link.gave))
        is_cut = crop.is_positive and self._rule == "guided"
        rectified_gradient(crop.grad, gave, top, "plain" if is_cut else self._rule, out=own)
        return whole


def _is_silent(crop: Crop) -> bool:
    """Whether nothing is left of a small gradient; a large one is not worth the look."""
    return crop.grad.numel() < _FEW and not crop.grad.any()


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


def _disjoint_pool_back(crop: Crop, pool: MaxPool, places: Tensor) -> Crop:
    (rows, columns), grad, image = pool.stride, crop.grad, crop.image
    top, left = crop.top * rows, crop.left * columns
    bottom, right = top + grad.shape[2] * rows, left + grad.shape[3] * columns
    own = places[image : image + 1, :, top:bottom, left:right]
    return replace(crop, grad=kept_at(own, grad, pool.kernel_size), top=top, left=left)


def _max_pool_back(crop: Crop, pool: MaxPool, given: Tensor) -> Crop:
    """The windows of the crop, pooled once more, say where each maximum was."""
    rows, columns = windows(crop, pool.stride, padding_before(pool), pool.kernel_size)
    height, width = given.shape[2:]
    own = given[
        crop.image : crop.image + 1,
        :,
        max(rows.start, 0) : rows.stop,
        max(columns.start, 0) : columns.stop,
    ]
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
    return inside(crop, grad, rows, columns, given)

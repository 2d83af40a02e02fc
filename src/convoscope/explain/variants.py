"""Several variants of the same images - noisy, dimmed, partly covered - asked in large batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.explain.views import look
from convoscope.network import Channel, ClassLogit, Network, Neuron, Target

VALUES_AT_ONCE: Final = 2_500_000
"""So many pixel values go through the network at once: 16 images of 3 x 224 x 224."""

Variant = Callable[[int], Array]
"""The k-th variant (N, C, H, W) of all images."""


def variant_gradients(
    network: Network, variant: Variant, count: int, targets: Sequence[Target]
) -> Iterator[FloatArray]:
    """For each variant the gradients of T targets with respect to its pixels, (T, N, C, H, W)."""
    for images, variants in _batches(variant, count):
        many = [repeated(target, variants) for target in targets]
        with look(network, images, targets=many) as view:
            found = view.trace.gradient(many)
        shape = (len(targets), variants, len(images) // variants, *images.shape[1:])
        yield from np.moveaxis(found.reshape(shape), 1, 0)


def variant_values(
    network: Network, variant: Variant, count: int, targets: Sequence[Target]
) -> Iterator[FloatArray]:
    """For each variant the values of T targets, (T, N)."""
    for images, variants in _batches(variant, count):
        many = [repeated(target, variants) for target in targets]
        found = target_values(network, images, many)
        shape = (len(targets), variants, len(images) // variants)
        yield from np.moveaxis(found.reshape(shape), 1, 0)


def target_values(network: Network, images: Array, targets: Sequence[Target]) -> FloatArray:
    """What each target is for each image, (T, N): the number whose gradient is asked elsewhere."""
    rows = np.arange(len(images))
    with look(network, images, targets=targets, wrt=()) as view:
        values = []
        for target in targets:
            match target:
                case ClassLogit():
                    values.append(class_logits(view.trace.logits[target.head], target.classes))
                case Channel():
                    maps = view.trace.activations[target.layer]
                    values.append(maps.reshape(*maps.shape[:2], -1).mean(2)[rows, target.channel])
                case Neuron():
                    maps = view.trace.activations[target.layer]
                    cells = maps if maps.ndim == 4 else maps[:, :, None, None]
                    values.append(cells[rows, target.channel, target.row, target.column])
    return np.array(values).reshape(len(targets), len(images))


def class_logits(logits: FloatArray, classes: int | Sequence[int] | IntArray) -> FloatArray:
    """One class's logit for each image, (N,); one sigmoid unit z has the logits -z and z."""
    index = np.broadcast_to(np.asarray(classes, dtype=np.int64), len(logits))
    if logits.shape[1] == 1:
        return np.asarray(logits[:, 0] * (2 * index - 1))
    return np.asarray(logits[np.arange(len(logits)), index])


def repeated(target: Target, times: int) -> Target:
    """The same target for ``times`` batches of the images, one behind another."""

    def many(index: int | tuple[int, ...]) -> int | tuple[int, ...]:
        return index if isinstance(index, int) else index * times

    match target:
        case ClassLogit():
            return replace(target, classes=many(target.classes))
        case Channel():
            return replace(target, channel=many(target.channel))
        case Neuron():
            row, column, channel = map(many, (target.row, target.column, target.channel))
            return replace(target, row=row, column=column, channel=channel)


def _batches(variant: Variant, count: int) -> Iterator[tuple[Array, int]]:
    """Variants one behind another, as many at once as memory should hold."""
    if not count:
        return
    first = variant(0)
    size = max(1, VALUES_AT_ONCE // max(1, math.prod(first.shape)))
    for start in range(0, count, size):
        numbers = range(start, min(start + size, count))
        yield np.concatenate([first if k == 0 else variant(k) for k in numbers]), len(numbers)

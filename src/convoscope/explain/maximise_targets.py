"""Targets with an index per picture: how many there are, some of them, and what a pass gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.errors import SettingsError
from convoscope.network import Channel, ClassLogit, Neuron, Target, Trace


def count(target: Target) -> int:
    """How many pictures the target is for: as many as it has indices.

    Raises:
        SettingsError: if it has none, or not the same number of each kind.
    """
    counts = {len(each) for each in _indices(target).values()}
    several = counts - {1}
    if 0 in counts or len(several) > 1:
        raise SettingsError(
            f"{target}: a target needs an index per picture, got "
            f"{', '.join(map(str, sorted(counts)))} of them: name as many of each, and one at least"
        )
    return max(counts)


def part(target: Target, chosen: Sequence[int]) -> Target:
    """The target of some of the pictures, by their places."""
    total = count(target)
    picked = {
        name: tuple(_each(values, total)[place] for place in chosen)
        for name, values in _indices(target).items()
    }
    match target:
        case ClassLogit():
            return replace(target, classes=picked["classes"])
        case Channel():
            return replace(target, channel=picked["channel"])
        case Neuron():
            return replace(
                target,
                row=picked["row"],
                column=picked["column"],
                channel=picked["channel"],
            )
        case _:
            assert_never(target)


def at_layer(target: Target, layer: str) -> Target:
    """The same cells of another layer; a class's logit is in none, and stays what it is."""
    match target:
        case Channel():
            return replace(target, layer=layer)
        case Neuron():
            return replace(target, layer=layer)
        case ClassLogit():
            return target


def words_of(target: Target) -> list[tuple[str | int, ...]]:
    """What each picture is of, in words and numbers that tell it from all others."""
    total = count(target)
    names = [target.head if isinstance(target, ClassLogit) else target.layer]
    columns = [v * total if len(v) == 1 else v for v in _indices(target).values()]
    kind = type(target).__name__
    return [(kind, *names, *numbers) for numbers in zip(*columns, strict=True)]


def value_of(trace: Trace, target: Target) -> FloatArray:
    """The target's value (T,) in a pass of T pictures.

    Of a head with one sigmoid unit z, class 0 has the logit -z and class 1 has z.
    """
    images = np.arange(count(target))
    match target:
        case ClassLogit():
            logits = trace.logits[target.head]
            classes = np.array(_each(target.classes, len(images)))
            if logits.shape[1] == 1:
                return np.where(classes == 1, logits[:, 0], -logits[:, 0])
            chosen: FloatArray = logits[images, classes]
            return chosen
        case Channel():
            maps = trace.activations[target.layer]
            own = maps[images, np.array(_each(target.channel, len(images)))]
            mean: FloatArray = own.reshape(len(images), -1).mean(axis=1)
            return mean
        case Neuron():
            maps = _maps(trace.activations[target.layer])
            channel, row, column = (
                np.array(_each(index, len(images)))
                for index in (target.channel, target.row, target.column)
            )
            cells: FloatArray = maps[images, channel, row, column]
            return cells
        case _:
            assert_never(target)


def excitement(trace: Trace, target: Target) -> FloatArray:
    """The highest cell (T,) of each picture's channel; of a class or a neuron its value."""
    if not isinstance(target, Channel):
        return value_of(trace, target)
    maps = trace.activations[target.layer]
    images = np.arange(len(maps))
    chosen = maps[images, np.array(_each(target.channel, len(images)))]
    highest: FloatArray = chosen.reshape(len(images), -1).max(axis=1)
    return highest


def _maps(output: FloatArray) -> FloatArray:
    """A layer's output as (N, C, h, w); a vector's units are channels of one cell."""
    return output.reshape(*output.shape[:2], *(output.shape[2:] or (1, 1)))


def _indices(target: Target) -> dict[str, tuple[int, ...]]:
    names = {ClassLogit: ("classes",), Channel: ("channel",), Neuron: ("row", "column", "channel")}
    return {name: _tuple(getattr(target, name)) for name in names[type(target)]}


def _each(index: int | tuple[int, ...], images: int) -> tuple[int, ...]:
    values = _tuple(index)
    return values * images if len(values) == 1 else values


def _tuple(index: int | tuple[int, ...]) -> tuple[int, ...]:
    return (index,) if isinstance(index, int) else tuple(index)

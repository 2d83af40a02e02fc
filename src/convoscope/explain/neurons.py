"""The neurons that an image excites most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from convoscope.architecture.graph import walk
from convoscope.architecture.layers import Activation
from convoscope.architecture.lineage import sources
from convoscope.arrays import FloatArray, IntArray
from convoscope.errors import ExplainError
from convoscope.network import Network, Neuron

OnePer: TypeAlias = Literal["channel", "place"]


@dataclass(frozen=True, slots=True)
class Strong:
    """A neuron, by its place in a layer's maps, and what it answered."""

    layer: str
    row: int
    column: int
    channel: int
    value: float

    @property
    def neuron(self) -> Neuron:
        """What a gradient starts from."""
        return Neuron(self.layer, self.row, self.column, self.channel)


def strongest(
    layer: str, maps: FloatArray, k: int, *, one_per: OnePer | None = None
) -> tuple[Strong, ...]:
    """The ``k`` neurons of one image's maps (C, h, w) that answer most, the strongest first.

    Neighbours often see the same thing: with ``one_per`` at most one neuron of each channel, or of
    each place, is named. Of equal ones the first counts, by channel, row and column. There may be
    fewer than ``k``, and silent ones among them.

    Raises:
        ExplainError: if ``k`` is below 1 or the maps are not (C, h, w).
    """
    if k < 1:
        raise ExplainError(f"layer {layer!r}: ask for at least 1 neuron, got {k}")
    if maps.ndim != 3:
        raise ExplainError(
            f"layer {layer!r}: neurons are chosen in the maps (C, h, w) of one image, got an array "
            f"of shape {maps.shape}: take one image of a layer of maps"
        )
    cells = _eligible(maps, one_per)
    values = maps.reshape(-1)[cells]
    order = np.argsort(-values, kind="stable")[:k]
    return tuple(
        Strong(layer, int(row), int(column), int(channel), float(maps[channel, row, column]))
        for channel, row, column in zip(*np.unravel_index(cells[order], maps.shape), strict=True)
    )


def unclipped(network: Network, layer: str) -> str:
    """The layer whose strongest neurons speak for ``layer``: itself or, if it is a ReLU6, the one
    that it clips.

    All that reaches 6 answers 6: its strongest neurons are as strong as one another, and none of
    them has a gradient.
    """
    architecture = network.architecture
    is_clipping = any(
        place.layer.name == layer
        and isinstance(place.layer, Activation)
        and place.layer.function == "relu6"
        for place in walk(architecture)
    )
    return (sources(architecture)[layer] or layer) if is_clipping else layer


def _eligible(maps: FloatArray, one_per: OnePer | None) -> IntArray:
    """Flat indices of the cells that may be named, in ascending order."""
    channels, height, width = maps.shape
    flat = maps.reshape(channels, height * width)
    match one_per:
        case None:
            return np.arange(maps.size, dtype=np.int64)
        case "channel":
            best = flat.argmax(axis=1)
            first: IntArray = np.arange(channels) * height * width + best
            return first
        case "place":
            best = flat.argmax(axis=0)
            found: IntArray = np.sort(best * height * width + np.arange(height * width))
            return found
        case _:
            raise ExplainError(f"one_per must be 'channel', 'place' or None, got {one_per!r}")

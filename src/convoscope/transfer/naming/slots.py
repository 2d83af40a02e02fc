"""The places of an architecture that wait for an array: its parameters, and what is around them."""

from __future__ import annotations

from dataclasses import dataclass

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.layers import Dense, Flatten
from convoscope.architecture.protocol import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A parameter or buffer of ours, and its shape.

    ``flattened`` is, in a dense layer that reads flattened maps, their shape (C, H, W).
    """

    layer: AnyLayer
    parameter: str
    shape: Shape
    flattened: Shape | None = None

    @property
    def name(self) -> str:
        """``"layer.parameter"``."""
        return f"{self.layer.name}.{self.parameter}"


def slots(architecture: Architecture) -> tuple[Slot, ...]:
    """Every parameter and buffer, in computing order."""
    found: list[Slot] = []
    flattened: Shape | None = None
    for place in walk(architecture):
        layer, shape = place.layer, place.input_shape
        if isinstance(layer, Flatten) and len(shape) == 3:
            flattened = shape
        shapes = {**layer.parameter_shapes(shape), **layer.buffer_shapes(shape)}
        found += [
            Slot(layer=layer, parameter=parameter, shape=needed, flattened=flattened)
            for parameter, needed in shapes.items()
        ]
        if isinstance(layer, Dense):
            flattened = None
    return tuple(found)

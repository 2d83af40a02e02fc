"""One number of a layer's output, and the arithmetic that makes it, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convoscope.architecture.protocol import ActivationName
from convoscope.arrays import FloatArray, IntArray
from convoscope.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number of a layer's output; of a vector, ``filter`` is the unit, row and column are 0."""

    layer: str
    row: int
    column: int
    filter: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.row},{self.column},{self.filter}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellArithmetic:
    """How a cell's ``output`` comes about.

    ``pixels`` (M, 3) are the row, column and channel in what the layer was given of each of the
    M ``values``; a vector's units are channels. Values that are padding lie outside the map.
    ``weights`` (M,) meet the values in ``products`` (M,), which are the values themselves where
    nothing is weighed. ``joined`` is what ``joining`` ("sum", "largest", "mean") makes of the
    products; adding ``bias`` and applying ``activation`` gives the output. ``patch`` (k, k, C) is
    the shape of the M terms, where they are a kernel's.
    """

    cell: Cell
    kind: str
    pixels: IntArray
    values: FloatArray
    weights: FloatArray | None
    joining: str
    joined: float
    bias: float | None = None
    activation: ActivationName | None = None
    output: float
    patch: tuple[int, int, int] | None = None
    note: str = ""

    @property
    def products(self) -> FloatArray:
        """(M,) value times weight, or the value."""
        return self.values if self.weights is None else self.values * self.weights

    @property
    def before(self) -> float:
        """What the activation is given."""
        return self.joined + (self.bias or 0.0)

    @property
    def scale(self) -> float:
        """The size of the numbers that are added, by which rounding is measured."""
        return float(np.abs(self.products).sum()) + abs(self.bias or 0.0)

    def to_json(self) -> dict[str, Any]:
        """The numbers, and those that come of them."""
        return {
            "cell": str(self.cell),
            "kind": self.kind,
            "pixels": self.pixels.tolist(),
            "values": self.values.tolist(),
            "weights": None if self.weights is None else self.weights.tolist(),
            "joining": self.joining,
            "joined": self.joined,
            "bias": self.bias,
            "activation": self.activation,
            "output": self.output,
            "note": self.note,
        }


def parse_cell(text: str) -> Cell:
    """``conv1:10,20,3`` (row, column, filter) or ``dense:7`` (unit).

    Raises:
        SettingsError: if it is neither.
    """
    layer, _, numbers = text.rpartition(":")
    parts = [part.strip() for part in numbers.split(",")]
    is_whole = all(part.isdecimal() and len(part) < 10 for part in parts)
    if not layer or not is_whole or len(parts) not in (1, 3):
        raise SettingsError(
            f"--cell must be LAYER:row,column,filter such as conv1:10,20,3, or LAYER:unit for a "
            f"layer that gives a vector, got {text!r}: write it like that"
        )
    row, column, unit = [int(part) for part in (parts if len(parts) == 3 else ["0", "0", *parts])]
    return Cell(layer=layer, row=row, column=column, filter=unit)

"""The table of a network: shapes, parameters, multiply-accumulates, memory, receptive fields.

The conventions, which :data:`MAC_CONVENTION` and :data:`MEMORY_CONVENTION` say to the user:

- One multiply-accumulate (MAC) is one multiplication by a weight with the addition that follows.
  Convolutions and dense layers have them. Biases, activations, pooling and residual sums have
  none, and batch norm has none because at prediction time it folds into its neighbour. A count
  in FLOPs is twice as large.
- Parameters are the trainable values: weights, biases, batch norm's weight and bias, but not its
  running statistics.
- Activation memory is every layer's output for one image in float32, all of them together: what a
  plain implementation keeps for the way back.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from convoscope import notebook
from convoscope.architecture.graph import Architecture, Place, logit_shapes, walk
from convoscope.architecture.protocol import Shape, shape_text
from convoscope.architecture.receptive_field import ReceptiveField, receptive_field
from convoscope.architecture.windows import Size

FLOAT32_BYTES = 4
MAC_CONVENTION = (
    "1 MAC = one multiplication by a weight and its addition (2 FLOPs), for one image; "
    "biases, batch norm, activations and pooling count none"
)
MEMORY_CONVENTION = "memory = every layer's output for one image in float32"
EVERYTHING = "all"
"""What a table says of :attr:`Row.field` where it is ``None``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer's line of the table.

    ``receptive_field`` and ``jump`` are (height, width) in pixels of the image; ``head`` is
    ``None`` on the trunk; ``depth`` counts the branches around the layer.
    """

    name: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int
    activation_bytes: int
    receptive_field: Size
    jump: Size
    head: str | None
    depth: int

    @property
    def field(self) -> Size | None:
        """The receptive field of one cell; ``None`` where cells are no places in the image any
        more and each sees the whole map before it, as those of a vector do.
        """
        return self.receptive_field if any(self.jump) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A network's table; the totals are the sums of its rows."""

    name: str
    input_shape: Shape
    heads: dict[str, Shape]
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Trainable values."""
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(row.macs for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all layers' outputs for one image in float32."""
        return sum(row.activation_bytes for row in self.rows)

    def _repr_html_(self) -> str:
        rows = [
            (
                f"{row.head}: {row.name}" if row.head else row.name,
                row.kind,
                shape_text(row.output_shape),
                row.parameters,
                row.macs,
                row.activation_bytes,
                shape_text(row.field) if row.field else EVERYTHING,
            )
            for row in self.rows
        ]
        total = ("total", "", "", self.parameters, self.macs, self.activation_bytes, "")
        caption = f"{self.name}: input {shape_text(self.input_shape)}"
        header = ("layer", "kind", "output", "parameters", "MACs", "bytes", "field")
        return notebook.table(caption, header, [*rows, total])

    def to_json(self) -> dict[str, Any]:
        """Plain values: the totals, then ``layers`` with one object per row."""
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "parameters": self.parameters,
            "macs": self.macs,
            "activation_bytes": self.activation_bytes,
            "conventions": {"macs": MAC_CONVENTION, "activation_bytes": MEMORY_CONVENTION},
            "heads": {name: list(shape) for name, shape in self.heads.items()},
            "layers": [_plain(row) for row in self.rows],
        }


def analyse(architecture: Architecture) -> Analysis:
    """The table of ``architecture``: one row per layer in computing order, branches included."""
    fields = receptive_field(architecture)
    return Analysis(
        name=architecture.name,
        input_shape=architecture.input_shape,
        heads=logit_shapes(architecture),
        rows=tuple(_row(place, fields[place.layer.name]) for place in walk(architecture)),
    )


def _row(place: Place, field: ReceptiveField) -> Row:
    layer = place.layer
    return Row(
        name=layer.name,
        kind=layer.kind,
        input_shape=place.input_shape,
        output_shape=place.output_shape,
        parameters=layer.parameter_count(place.input_shape),
        macs=layer.macs(place.input_shape),
        activation_bytes=FLOAT32_BYTES * math.prod(place.output_shape),
        receptive_field=field.size,
        jump=field.jump,
        head=place.head,
        depth=place.depth,
    )


def _plain(row: Row) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(row).items()
    }

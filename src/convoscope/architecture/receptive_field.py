"""Receptive fields: which pixels of the image a cell of a layer's output can see.

Cell ``i`` of a layer sees, along each axis, the pixels from ``start + i * jump`` to
``start + i * jump + size - 1``: the classic recurrence, ``size' = size + (extent - 1) * jump`` and
``jump' = jump * stride``. It pretends that the image goes on beyond its border.
:meth:`ReceptiveField.patch` does not pretend: it gives the box around the pixels that really
reach the cell, the border of every map on the way, gaps of dilated kernels and unequal branches
taken into account.

Source: Araujo, Norris and Sim 2019, https://doi.org/10.23915/distill.00021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, branches, unknown_layer
from convoscope.architecture.protocol import Shape
from convoscope.architecture.windows import LARGEST_SIDE, POINT, Size, Window
from convoscope.errors import SettingsError


class Box(NamedTuple):
    """Pixels from ``top`` to ``bottom - 1`` and from ``left`` to ``right - 1``."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True)
class _Axis:
    """What the cells of a map see along one axis of the image.

    ``size``, ``jump`` and ``start`` as in the module's formula; ``firsts[i]`` and ``ends[i]`` bound
    the pixels that reach cell ``i``. A cell that sees nothing but padding has its first pixel
    behind its end, so that minimum and maximum pass over it.
    """

    size: int
    jump: int
    start: int
    firsts: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What the cells of one layer's output see; each pair is (height, width), in pixels.

    ``start`` is the first pixel of cell (0, 0), negative where it sees padding. Where ``jump``
    is 0 every cell sees the same. Where branches of different strides meet, ``size`` is large
    enough for every cell and ``jump`` is the largest.
    """

    rows: _Axis
    columns: _Axis

    @property
    def size(self) -> Size:
        """Pixels from the first to the last one seen, borders ignored."""
        return self.rows.size, self.columns.size

    @property
    def jump(self) -> Size:
        """Pixels from one cell's field to the next one's."""
        return self.rows.jump, self.columns.jump

    @property
    def start(self) -> Size:
        """The first pixel of cell (0, 0), borders ignored."""
        return self.rows.start, self.columns.start

    def patch(self, row: int, column: int) -> Box:
        """The part of the image that reaches the cell; empty (all 0) if only padding does.

        The box holds every pixel that matters and touches one on each side. Only where one of
        several branches sees nothing but padding along one axis may it be larger.

        Raises:
            SettingsError: if there is no such cell.
        """
        top, bottom = _seen(self.rows, row, "row")
        left, right = _seen(self.columns, column, "column")
        if top >= bottom or left >= right:
            return Box(0, 0, 0, 0)
        return Box(top, left, bottom, right)


def receptive_field(architecture: Architecture) -> dict[str, ReceptiveField]:
    """The receptive field of every layer, by name; a vector has one cell, (0, 0)."""
    _, height, width = architecture.input_shape
    fields: dict[str, ReceptiveField] = {}
    image = ReceptiveField(_pixels(height), _pixels(width))
    shape, trunk = _follow(architecture.layers, architecture.input_shape, image, fields)
    for head in architecture.heads:
        _follow(head.layers, shape, trunk, fields)
    return fields


def patch(architecture: Architecture, layer: str, row: int, column: int) -> Box:
    """The part of the image that reaches one cell of a layer's output.

    Raises:
        UnknownNameError: if there is no such layer; names the nearest.
        SettingsError: if there is no such cell.
    """
    fields = receptive_field(architecture)
    if layer not in fields:
        raise unknown_layer(layer, architecture.layer_names)
    check_cell(layer, row, column, architecture.place(layer).output_shape)
    return fields[layer].patch(row, column)


def check_cell(layer: str, row: int, column: int, shape: Shape) -> None:
    """Nothing, if a layer's output (C, h, w) or (K,) has that cell; a vector has cell (0, 0).

    Raises:
        SettingsError: if it has not.
    """
    for what, cell, cells in zip(
        ("row", "column"), (row, column), shape[1:] or (1, 1), strict=True
    ):
        if not 0 <= cell < cells:
            raise SettingsError(
                f"layer {layer!r}: {what} must lie in 0..{cells - 1} of this layer's maps, got "
                f"{cell}"
            )


def _follow(
    layers: Sequence[AnyLayer],
    shape: Shape,
    field: ReceptiveField,
    fields: dict[str, ReceptiveField],
) -> tuple[Shape, ReceptiveField]:
    """The shape and field after ``layers``; enters each layer's field into ``fields``."""
    for layer in layers:
        output_shape = layer.output_shape(shape)
        inside = [_follow(branch, shape, field, fields)[1] for branch in branches(layer)]
        field = _union(inside) if inside else _through(field, layer.window(shape), output_shape)
        fields[layer.name] = field
        shape = output_shape
    return shape, field


def _through(field: ReceptiveField, window: Window, output_shape: Shape) -> ReceptiveField:
    if window == POINT:
        return field
    rows, columns = output_shape[1:] if len(output_shape) == 3 else (1, 1)
    return ReceptiveField(
        _slide(field.rows, window, 0, rows), _slide(field.columns, window, 1, columns)
    )


def _slide(below: _Axis, window: Window, axis: int, cells: int) -> _Axis:
    """What ``cells`` places of a window see, given what the cells below it see."""
    extent, stride, before = window.extent[axis], window.stride[axis], window.before[axis]
    firsts, ends = [], []
    for i in range(cells):
        first = i * stride - before
        inside = first if first >= 0 else first % window.dilation
        seen = slice(inside, max(first + extent, 0), window.dilation)
        firsts.append(min(below.firsts[seen], default=LARGEST_SIDE))
        ends.append(max(below.ends[seen], default=0))
    return _Axis(
        size=below.size + (extent - 1) * below.jump,
        jump=below.jump * stride,
        start=below.start - before * below.jump,
        firsts=tuple(firsts),
        ends=tuple(ends),
    )


def _union(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    return ReceptiveField(_join([f.rows for f in fields]), _join([f.columns for f in fields]))


def _join(axes: Sequence[_Axis]) -> _Axis:
    """What a cell sees through several branches: from the first pixel to the last of any."""
    # Spans grow apart linearly where strides differ, so that the widest is the first or the last.
    spans = [
        max(axis.start + i * axis.jump + axis.size for axis in axes)
        - min(axis.start + i * axis.jump for axis in axes)
        for i in (0, len(axes[0].firsts) - 1)
    ]
    return _Axis(
        size=max(spans),
        jump=max(axis.jump for axis in axes),
        start=min(axis.start for axis in axes),
        firsts=tuple(map(min, zip(*(axis.firsts for axis in axes), strict=True))),
        ends=tuple(map(max, zip(*(axis.ends for axis in axes), strict=True))),
    )


def _pixels(count: int) -> _Axis:
    return _Axis(1, 1, 0, tuple(range(count)), tuple(range(1, count + 1)))


def _seen(axis: _Axis, cell: int, what: str) -> tuple[int, int]:
    if not 0 <= cell < len(axis.firsts):
        raise SettingsError(
            f"{what} must lie in 0..{len(axis.firsts) - 1} of this layer's map, got {cell}"
        )
    return axis.firsts[cell], axis.ends[cell]

"""Differences with their intervals around zero: which of two is ahead, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.around_zero import AXIS_ROOM, marked, points_scale, said, tone, zero_axis
from convoscope.pictures.axes import Scale
from convoscope.pictures.svg import picture, text

_WIDTH = 460.0
_ROW, _TOP = 34.0, 30.0
_LEFT, _RIGHT = 64.0, 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """``second``'s share of right images less ``first``'s, in [-1, 1], with its interval."""

    first: str
    second: str
    value: float
    low: float
    high: float
    is_more_than_noise: bool


def difference_chart(rows: Sequence[DifferenceRow]) -> Markup:
    """A row per pair on one axis in percentage points; what may be noise is drawn in gray."""
    at = points_scale(rows, _LEFT, _RIGHT)
    bottom = _TOP + _ROW * len(rows)
    every = ", ".join(f"{row.second} less {row.first} {said(row)}" for row in rows)
    return picture(
        _WIDTH,
        bottom + AXIS_ROOM,
        zero_axis(at, _TOP, bottom, "points of accuracy"),
        text(at(0) - 10, 16, "← first ahead", class_="small quiet end"),
        text(at(0) + 10, 16, "second ahead →", class_="small quiet"),
        *(_row(row, at, _TOP + _ROW * (k + 0.5)) for k, row in enumerate(rows)),
        label=f"Differences of accuracy in percentage points: {every}",
        class_="chart differences",
    )


def _row(row: DifferenceRow, at: Scale, y: float) -> Markup:
    names = text(0, y + 4, f"{row.first} → {row.second}", class_=tone(row))
    return names + marked(row, at, y, _WIDTH)

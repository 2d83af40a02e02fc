"""What changes are worth: a difference and its interval under the name of each, around zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.around_zero import AXIS_ROOM, marked, points_scale, said, tone, zero_axis
from convoscope.pictures.axes import Scale
from convoscope.pictures.svg import picture, shortened, text

_WIDTH = 460.0
_ROW, _TOP = 46.0, 8.0
_LEFT, _RIGHT = 8.0, 396.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """A change's share of right images less that of what it is compared with, in [-1, 1]."""

    name: str
    value: float
    low: float
    high: float
    is_more_than_noise: bool


def effect_chart(rows: Sequence[EffectRow]) -> Markup:
    """A row per change on one axis in percentage points; what may be noise is drawn in gray."""
    at = points_scale(rows, _LEFT, _RIGHT)
    bottom = _TOP + _ROW * len(rows)
    every = ", ".join(f"{row.name} {said(row)}" for row in rows)
    return picture(
        _WIDTH,
        bottom + AXIS_ROOM,
        zero_axis(at, _TOP, bottom, "points of validation accuracy"),
        *(_row(row, at, _TOP + _ROW * k) for k, row in enumerate(rows)),
        label=f"Differences of accuracy in percentage points: {every}",
        class_="chart differences",
    )


def _row(row: EffectRow, at: Scale, top: float) -> Markup:
    name = shortened(row.name, _RIGHT - _LEFT)
    return text(_LEFT, top + 17, name, class_=f"small {tone(row)}") + marked(
        row, at, top + 32, _WIDTH
    )

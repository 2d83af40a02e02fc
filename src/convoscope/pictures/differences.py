"""Differences with their intervals around zero: which of two is ahead, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.axes import Scale, even_ticks
from convoscope.pictures.effects import signed
from convoscope.pictures.svg import element, line, picture, text

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
    reach = 100 * max(0.01, *(max(abs(row.low), abs(row.high)) for row in rows)) * 1.05
    at = Scale(low=-reach, high=reach, start=_LEFT, end=_RIGHT)
    bottom = _TOP + _ROW * len(rows)
    parts = []
    for tick in even_ticks(-reach, reach, 5):
        parts.append(line(at(tick), _TOP, at(tick), bottom, "axis" if tick == 0 else "grid"))
        parts.append(text(at(tick), bottom + 18, signed(tick), class_="middle small quiet"))
    words = "points of accuracy"
    parts.append(text((_LEFT + _RIGHT) / 2, bottom + 38, words, class_="middle small quiet"))
    parts.append(text(at(0) - 10, 16, "← first ahead", class_="small quiet end"))
    parts.append(text(at(0) + 10, 16, "second ahead →", class_="small quiet"))
    drawn = [_row(row, at, _TOP + _ROW * (k + 0.5)) for k, row in enumerate(rows)]
    said = [
        f"{row.second} less {row.first} {signed(100 * row.value)} "
        f"({signed(100 * row.low)} to {signed(100 * row.high)})"
        for row in rows
    ]
    return picture(
        _WIDTH,
        bottom + 46,
        *parts,
        *drawn,
        label=f"Differences of accuracy in percentage points: {', '.join(said)}",
        class_="chart differences",
    )


def _row(row: DifferenceRow, at: Scale, y: float) -> Markup:
    tone = "strong" if row.is_more_than_noise else "quiet"
    low, high = at(100 * row.low), at(100 * row.high)
    band = element(
        "rect", x=low, y=y - 6, width=max(high - low, 2), height=12, rx=2, class_=f"band {tone}"
    )
    return Markup("").join(
        [
            text(0, y + 4, f"{row.first} → {row.second}", class_=tone),
            band,
            element("circle", cx=at(100 * row.value), cy=y, r=4, class_=f"dot {tone}"),
            text(_WIDTH, y + 4, signed(round(100 * row.value, 1)), class_=f"end {tone}"),
        ]
    )

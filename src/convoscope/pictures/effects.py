"""What changes are worth: a difference and its interval under the name of each, around zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.axes import Scale, even_ticks, plain
from convoscope.pictures.svg import element, line, picture, shortened, text

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
    reach = 105 * max(0.01, *(max(abs(row.low), abs(row.high)) for row in rows))
    at = Scale(low=-reach, high=reach, start=_LEFT, end=_RIGHT)
    bottom = _TOP + _ROW * len(rows)
    parts = []
    for tick in even_ticks(-reach, reach, 5):
        parts.append(line(at(tick), _TOP, at(tick), bottom, "axis" if tick == 0 else "grid"))
        parts.append(text(at(tick), bottom + 18, signed(tick), class_="middle small quiet"))
    words = "points of validation accuracy"
    parts.append(text((_LEFT + _RIGHT) / 2, bottom + 38, words, class_="middle small quiet"))
    said = [
        f"{row.name} {signed(100 * row.value)} ({signed(100 * row.low)} to "
        f"{signed(100 * row.high)})"
        for row in rows
    ]
    return picture(
        _WIDTH,
        bottom + 46,
        *parts,
        *(_row(row, at, _TOP + _ROW * k) for k, row in enumerate(rows)),
        label=f"Differences of accuracy in percentage points: {', '.join(said)}",
        class_="chart differences",
    )


def signed(points: float) -> str:
    """``+4.5``, ``−2``, ``0``."""
    rounded = round(points, 1)
    if rounded == 0:
        return "0"
    return f"{'+' if rounded > 0 else '−'}{plain(abs(rounded))}"


def _row(row: EffectRow, at: Scale, top: float) -> Markup:
    tone = "strong" if row.is_more_than_noise else "quiet"
    low, high, y = at(100 * row.low), at(100 * row.high), top + 32
    band = element(
        "rect", x=low, y=y - 6, width=max(high - low, 2), height=12, rx=2, class_=f"band {tone}"
    )
    return Markup("").join(
        [
            text(_LEFT, top + 17, shortened(row.name, _RIGHT - _LEFT), class_=f"small {tone}"),
            band,
            element("circle", cx=at(100 * row.value), cy=y, r=4, class_=f"dot {tone}"),
            text(_WIDTH, y + 4, signed(100 * row.value), class_=f"end {tone}"),
        ]
    )

"""How far several things are ahead of one, with intervals: rows around a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from markupsafe import Markup

from convoscope.pictures.around_zero import AXIS_ROOM, zero_axis
from convoscope.pictures.axes import Scale
from convoscope.pictures.svg import element, line, picture, shortened, text

WIDTH: Final = 560.0
_ROW, _TOP = 27.0, 30.0
_LEFT, _RIGHT = 180.0, 500.0
_LEAST_REACH = 0.05

Tone: TypeAlias = Literal["blue", "red", "quiet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRow:
    """A difference with its interval, and the colour it is drawn in."""

    name: str
    value: float
    low: float
    high: float
    tone: Tone


def standings_chart(rows: Sequence[StandingRow], *, against: str, unit: str) -> Markup:
    """A row each on one axis; the line at 0 is ``against``, ``unit`` says what is measured."""
    lowest = min([-_LEAST_REACH, *(row.low for row in rows)])
    highest = max([_LEAST_REACH, *(row.high for row in rows)])
    room = 0.04 * (highest - lowest)
    at = Scale(low=lowest - room, high=highest + room, start=_LEFT, end=_RIGHT)
    bottom = _TOP + _ROW * len(rows)
    drawn = [_row(row, at, _TOP + _ROW * (k + 0.5)) for k, row in enumerate(rows)]
    said = [
        f"{row.name} {signed(row.value)} ({signed(row.low)} to {signed(row.high)})" for row in rows
    ]
    return picture(
        WIDTH,
        bottom + AXIS_ROOM,
        text(at(0), 18, against, class_="middle small quiet"),
        zero_axis(at, _TOP, bottom, unit, between=(lowest, highest), written=signed),
        *drawn,
        label=f"{unit}, against {against}: {', '.join(said)}",
        class_="chart standings",
    )


def signed(value: float) -> str:
    """``+0.21``, ``−0.05`` or ``0``."""
    if abs(value) < 0.005:
        return "0"
    return f"{'+' if value > 0 else '−'}{abs(value):.2f}"


def _row(row: StandingRow, at: Scale, y: float) -> Markup:
    low, high = at(row.low), at(row.high)
    words = "ink" if row.tone == "blue" else row.tone
    return Markup("").join(
        [
            text(0, y + 4, shortened(row.name, _LEFT - 14), class_=words),
            line(low, y, high, y, f"range {row.tone}"),
            element("circle", cx=at(row.value), cy=y, r=4.5, class_=f"dot {row.tone}"),
            text(WIDTH, y + 4, signed(row.value), class_=f"end {words}"),
        ]
    )

"""What charts of differences share: an axis around zero, and differences with intervals on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from markupsafe import Markup

from convoscope.pictures.axes import Scale, even_ticks, plain
from convoscope.pictures.svg import element, line, text

AXIS_ROOM: Final = 46.0
"""What the axis takes below the rows, in pixels."""

_TICKS = 5
_LEAST_REACH, _MARGIN = 0.01, 1.05


class Difference(Protocol):
    """Two shares of right images, one less the other, in [-1, 1]."""

    @property
    def value(self) -> float:
        """The difference itself."""

    @property
    def low(self) -> float:
        """Where its interval begins."""

    @property
    def high(self) -> float:
        """Where its interval ends."""

    @property
    def is_more_than_noise(self) -> bool:
        """Whether the interval leaves zero out."""


def points_scale(rows: Sequence[Difference], left: float, right: float) -> Scale:
    """A scale in percentage points that has zero in its middle and room for every interval."""
    furthest = max(_LEAST_REACH, *(max(abs(row.low), abs(row.high)) for row in rows))
    reach = 100 * _MARGIN * furthest
    return Scale(low=-reach, high=reach, start=left, end=right)


def signed_points(points: float) -> str:
    """``+4.5``, ``−2``, ``0``."""
    rounded = round(points, 1)
    if rounded == 0:
        return "0"
    return f"{'+' if rounded > 0 else '−'}{plain(abs(rounded))}"


def said(row: Difference) -> str:
    """``+4.5 (+1.2 to +7.9)``, in percentage points."""
    value, low, high = (signed_points(100 * part) for part in (row.value, row.low, row.high))
    return f"{value} ({low} to {high})"


def zero_axis(
    at: Scale,
    top: float,
    bottom: float,
    unit: str,
    *,
    between: tuple[float, float] | None = None,
    written: Callable[[float], str] = signed_points,
) -> Markup:
    """Grid lines from ``top`` to ``bottom``, that at zero as a line of its own, numbers and the
    unit below them; ``between`` is where ticks may be, without it anywhere on the scale.
    """
    parts = []
    for tick in even_ticks(*(between or (at.low, at.high)), _TICKS):
        parts.append(line(at(tick), top, at(tick), bottom, "axis" if tick == 0 else "grid"))
        parts.append(text(at(tick), bottom + 18, written(tick), class_="middle small quiet"))
    parts.append(text((at.start + at.end) / 2, bottom + 38, unit, class_="middle small quiet"))
    return Markup("").join(parts)


def tone(row: Difference) -> str:
    """What may be noise is drawn in gray."""
    return "strong" if row.is_more_than_noise else "quiet"


def marked(row: Difference, at: Scale, y: float, right: float) -> Markup:
    """The interval as a band, the difference as a dot on it and as a number that ends ``right``."""
    low, high, kind = at(100 * row.low), at(100 * row.high), tone(row)
    band = element(
        "rect", x=low, y=y - 6, width=max(high - low, 2), height=12, rx=2, class_=f"band {kind}"
    )
    dot = element("circle", cx=at(100 * row.value), cy=y, r=4, class_=f"dot {kind}")
    return band + dot + text(right, y + 4, signed_points(100 * row.value), class_=f"end {kind}")

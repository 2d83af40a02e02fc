"""A share against a number that doubles, such as accuracy against the images of each class: a line
and a band for each of several things.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from convoscope.pictures.axes import Frame, Scale, draw_axes, even_ticks, percent, plain
from convoscope.pictures.curves import Colour
from convoscope.pictures.svg import element, number, picture, shortened, text

WIDTH, HEIGHT = 560.0, 340.0
_FRAME = Frame(left=46, top=46, right=392, bottom=296)
_LABEL_GAP = 16.0
_ROOM = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A share with its interval, ``at`` a number such as that of the images of each class."""

    at: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCurve:
    """One of the things; ``points`` from left to right."""

    name: str
    points: Sequence[Measured]
    colour: Colour
    is_dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the axes show, the whole in words, before its figures, and how a value is written."""

    across: str
    up: str
    label: str
    written: Callable[[float], str] = percent


IMAGES: Final = Words(
    across="training images of each class (log scale)",
    up="validation accuracy",
    label="Accuracy against images of each class",
)


def data_curves(curves: Sequence[DataCurve], words: Words = IMAGES) -> Markup:
    """Every way on one logarithmic axis, each named at its end, over the band of its interval."""
    across, up = _scales(curves)
    ticks = sorted({point.at for curve in curves for point in curve.points})
    axes = draw_axes(
        _FRAME,
        across,
        up,
        across_ticks=_apart(ticks, across),
        up_ticks=even_ticks(up.low, up.high, 5),
        across_label=words.across,
        up_label=words.up,
        across_written=lambda value: plain(float(f"{value:.3g}")),
        up_written=words.written,
    )
    said = "; ".join(
        f"{curve.name} "
        + ", ".join(f"{words.written(p.value)} with {p.at:.3g}" for p in curve.points)
        for curve in curves
    )
    return picture(
        WIDTH,
        HEIGHT,
        axes,
        *(_band(curve, across, up) for curve in curves if len(curve.points) > 1),
        *(_line(curve, across, up) for curve in curves),
        *_names(curves, across, up),
        label=f"{words.label}: {said}",
        class_="chart data-curves",
    )


def _scales(curves: Sequence[DataCurve]) -> tuple[Scale, Scale]:
    known = [point for curve in curves for point in curve.points]
    few, many = min(p.at for p in known), max(p.at for p in known)
    if few == many:
        few, many = few / 2, many * 2
    start, end = _FRAME.left + 12, _FRAME.right
    across = Scale(low=few, high=many, is_log=True, start=start, end=end)
    least, most = min(p.low for p in known), max(p.high for p in known)
    room = _ROOM * max(most - least, 0.02)
    up = Scale(
        low=max(0.0, least - room), high=min(1.0, most + room), start=_FRAME.bottom, end=_FRAME.top
    )
    return across, up


def _apart(ticks: Sequence[float], across: Scale) -> list[float]:
    """The ticks whose numbers do not run into the one before."""
    shown: list[float] = []
    for tick in ticks:
        if not shown or across(tick) - across(shown[-1]) > 30:
            shown.append(tick)
    return shown


def _band(curve: DataCurve, across: Scale, up: Scale) -> Markup:
    upper = [(across(p.at), up(p.high)) for p in curve.points]
    lower = [(across(p.at), up(p.low)) for p in reversed(curve.points)]
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in (*upper, *lower))
    return element("path", d=f"M{steps}Z", class_=f"shade {curve.colour}")


def _line(curve: DataCurve, across: Scale, up: Scale) -> Markup:
    places = [(across(p.at), up(p.value)) for p in curve.points]
    steps = "L".join(f"{number(x)} {number(y)}" for x, y in places)
    dashes = " dashes" if curve.is_dashed else ""
    path = element("path", d=f"M{steps}", class_=f"curve {curve.colour}{dashes}")
    dots = (element("circle", cx=x, cy=y, r=4, class_=f"dot {curve.colour}") for x, y in places)
    return Markup("").join([path, *dots])


def _names(curves: Sequence[DataCurve], across: Scale, up: Scale) -> list[Markup]:
    """At the ends of their lines, one below the other where these lie close."""
    ends = sorted((up(c.points[-1].value), place) for place, c in enumerate(curves) if c.points)
    parts, last = [], -math.inf
    room = max(0.0, ends[-1][0] - _FRAME.bottom) if ends else 0.0
    for height, place in ends:
        curve = curves[place]
        y = max(height - room, last + _LABEL_GAP)
        last = y
        x = across(curve.points[-1].at) + 10
        parts.append(text(x, y + 4, shortened(curve.name, WIDTH - x), class_=curve.colour))
    return parts

"""What accuracy costs: a point per network, its interval, and the line that none is better than."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.axes import Frame, Scale, draw_axes, even_ticks, percent
from convoscope.pictures.svg import element, line, number, picture, text, text_width

WIDTH, HEIGHT = 460.0, 330.0
_FRAME = Frame(left=46, top=46, right=440, bottom=286)
_ROOM = 0.08  # of the axis, left free at each end
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A network: its short name, its cost above 0, and its share of right images."""

    name: str
    cost: float
    value: float
    low: float
    high: float
    is_main: bool = False


def trade_off(points: Sequence[Point], *, cost: str) -> Markup:
    """Accuracy over the logarithm of a cost; a stepped line joins those that none is better than.

    A network lies on the line if none is both cheaper and more accurate.
    """
    across, up = _scales(points)
    axes = draw_axes(
        _FRAME,
        across,
        up,
        across_ticks=_cost_ticks(across),
        up_ticks=even_ticks(up.low, up.high, 5),
        across_label=f"{cost} (log scale)",
        up_label="accuracy",
        across_written=short,
        up_written=percent,
    )
    best = frontier(points)
    drawn = [_point(point, across, up, is_best=point in best) for point in points]
    said = ", ".join(f"{p.name} {percent(p.value)} at {short(p.cost)}" for p in points)
    return picture(
        WIDTH,
        HEIGHT,
        axes,
        element("path", d=_steps(best, across, up), class_="dashed", fill="none"),
        *drawn,
        *_names(points, across, up),
        label=f"Accuracy against {cost}: {said}",
        class_="chart trade-off",
    )


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other is at least as cheap and more accurate than, the cheapest first."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.cost, -p.value)):
        if not found or point.value > found[-1].value:
            found.append(point)
    return found


def short(value: float) -> str:
    """``12 M``, ``300 k``, ``50``."""
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.3g}\N{NO-BREAK SPACE}{unit}"
    return f"{value:.3g}"


def _scales(points: Sequence[Point]) -> tuple[Scale, Scale]:
    low, high = (math.log10(side(p.cost for p in points)) for side in (min, max))
    room = max(_ROOM * (high - low), 0.05)
    across = Scale(
        low=10 ** (low - room),
        high=10 ** (high + room),
        is_log=True,
        start=_FRAME.left + 4,
        end=_FRAME.right,
    )
    least, most = min(p.low for p in points), max(p.high for p in points)
    room = max(_ROOM * (most - least), 0.002)
    up = Scale(
        low=max(0.0, least - room), high=min(1.0, most + room), start=_FRAME.bottom, end=_FRAME.top
    )
    return across, up


def _cost_ticks(across: Scale) -> list[float]:
    """Round numbers; where the axis spans little, evenly spaced ones."""
    ticks = across.ticks()
    return ticks if len(ticks) > 2 else even_ticks(across.low, across.high, 4)


def _steps(best: Sequence[Point], across: Scale, up: Scale) -> str:
    """To the right as far as the next better one, then up to it."""
    path = f"M{number(across(best[0].cost))} {number(up(best[0].value))}"
    for point in best[1:]:
        path += f"H{number(across(point.cost))}V{number(up(point.value))}"
    return f"{path}H{number(_FRAME.right)}"


def _point(point: Point, across: Scale, up: Scale, *, is_best: bool) -> Markup:
    x, y = across(point.cost), up(point.value)
    dot = "dot orange" if point.is_main else "dot" if is_best else "dot quiet"
    return line(x, up(point.low), x, up(point.high), "axis") + element(
        "circle", cx=x, cy=y, r=5.5 if point.is_main else 4.5, class_=dot
    )


def _names(points: Sequence[Point], across: Scale, up: Scale) -> list[Markup]:
    """Each name beside its dot, at the first of four sides where it covers nothing."""
    taken = [_box(across(p.cost), up(p.value), 10, 10) for p in points]
    parts = []
    for point in sorted(points, key=lambda p: not p.is_main):
        x, y, width = across(point.cost), up(point.value), text_width(point.name, 12)
        sides = [(x + 8 + width / 2, y - 9), (x - 8 - width / 2, y - 9)]
        sides += [(x + 8 + width / 2, y + 13), (x - 8 - width / 2, y + 13)]
        boxes = [_box(cx, cy - 4, width, 13) for cx, cy in sides]
        free = [k for k, box in enumerate(boxes) if not any(_meet(box, t) for t in taken)]
        place = free[0] if free else 0
        taken.append(boxes[place])
        tone = "strong" if point.is_main else "quiet"
        parts.append(text(*sides[place], point.name, class_=f"middle small {tone}"))
    return parts


def _box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

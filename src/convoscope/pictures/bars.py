"""A figure with its interval: as a bar in a table's cell, or as rows of one chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.axes import Scale, percent
from convoscope.pictures.svg import element, line, picture, shortened_inside, text, text_width

BAR_WIDTH, BAR_HEIGHT = 96.0, 14.0
_CHART_WIDTH = 440.0
_ROW = 56.0
_TOP = 8.0
_NAME_ROOM = 130.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow:
    """A share with its interval; ``baseline`` is the share that needs no learning, ``is_main``
    puts the row in front.
    """

    name: str
    value: float
    low: float
    high: float
    baseline: float | None = None
    is_main: bool = False


def interval_bar(value: float, low: float, high: float) -> Markup:
    """A share in [0, 1] as a dot on its interval, on a track from 0 to 1."""
    at = Scale(low=0, high=1, start=4, end=BAR_WIDTH - 4)
    middle = BAR_HEIGHT / 2
    track = element("rect", x=4, y=middle - 1, width=BAR_WIDTH - 8, height=2, class_="track")
    band = element(
        "rect", x=at(low), y=middle - 4, width=max(at(high) - at(low), 1), height=8, class_="band"
    )
    dot = element("circle", cx=at(value), cy=middle, r=3.5, class_="dot")
    label = f"{percent(value)}, interval {percent(low)} to {percent(high)}"
    return picture(BAR_WIDTH, BAR_HEIGHT, track, band, dot, label=label, class_="chart bar")


def accuracy_chart(rows: Sequence[AccuracyRow], *, baseline_name: str) -> Markup:
    """Accuracies with their intervals on one axis from 0 to 100 %, baselines as dashed marks."""
    left = max(64.0, max(text_width(shortened_inside(row.name, _NAME_ROOM)) for row in rows) + 16)
    at = Scale(low=0, high=1, start=left, end=_CHART_WIDTH - 24)
    bottom = _TOP + _ROW * len(rows)
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(line(at(tick), _TOP, at(tick), bottom, "grid"))
        parts.append(text(at(tick), bottom + 18, percent(tick), class_="middle small quiet"))
    parts.append(text((at(0) + at(1)) / 2, bottom + 38, "accuracy", class_="middle small quiet"))
    for index, row in enumerate(rows):
        y = _TOP + _ROW * (index + 0.5)
        parts.append(_mark(row, at, y, baseline_name if index == 0 else "") + _row(row, at, y))
    said = [
        f"{row.name} {percent(row.value)} ({percent(row.low)} to {percent(row.high)})"
        for row in rows
    ]
    return picture(
        _CHART_WIDTH,
        bottom + 46,
        *parts,
        label=f"Accuracy with 95 % intervals: {', '.join(said)}",
        class_="chart accuracy",
    )


def percent_exact(share: float) -> str:
    """A share as ``80.0 %``, which no line break parts."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _mark(row: AccuracyRow, at: Scale, y: float, name: str) -> Markup:
    if row.baseline is None:
        return Markup("")
    x = at(row.baseline)
    mark = line(x, y - 15, x, y + 15, "dashed")
    if not name:
        return mark
    words, is_left = f"{name} {percent_exact(row.baseline)}", row.baseline <= 0.5
    side = "start" if is_left else "end"
    return mark + text(x + (5 if is_left else -5), y + 22, words, class_=f"small quiet {side}")


def _row(row: AccuracyRow, at: Scale, y: float) -> Markup:
    tone, half = ("strong", 8.0) if row.is_main else ("quiet", 5.0)
    value = percent_exact(row.value)
    room = text_width(value) / 2
    x = min(max(at(row.value), at(0) + room), at(1) + 22 - room)
    width = max(at(row.high) - at(row.low), 2)
    band = element(
        "rect", x=at(row.low), y=y - half, width=width, height=2 * half, rx=2, class_=f"band {tone}"
    )
    return Markup("").join(
        [
            text(0, y + 4, shortened_inside(row.name, _NAME_ROOM), class_=tone),
            band,
            element("circle", cx=at(row.value), cy=y, r=0.6 * half, class_=f"dot {tone}"),
            text(x, y - half - 6, value, class_=f"middle small {tone}"),
        ]
    )

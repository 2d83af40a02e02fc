"""A figure with its interval: as a bar in a table's cell, or as rows of one chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.axes import Scale, percent
from convoscope.pictures.svg import element, line, picture, shortened, text, text_width

BAR_WIDTH, BAR_HEIGHT = 96.0, 14.0
_CHART_WIDTH = 520.0
_ROW = 46.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow:
    """A share with its interval; ``note`` says of what, ``is_main`` puts it in front."""

    name: str
    value: float
    low: float
    high: float
    note: str = ""
    is_main: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A share that needs no learning, to compare with."""

    name: str
    value: float


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


def accuracy_chart(rows: Sequence[AccuracyRow], baselines: Sequence[Baseline] = ()) -> Markup:
    """Accuracies with their intervals on one axis from 0 to 100 %, baselines as dashed lines."""
    left = max(64.0, max(text_width(shortened(row.name, 130)) for row in rows) + 16)
    at = Scale(low=0, high=1, start=left, end=_CHART_WIDTH - 24)
    top = 16.0 + 18 * len(baselines)
    bottom = top + _ROW * len(rows)
    parts = [line(at(tick), top, at(tick), bottom, "grid") for tick in (0, 0.25, 0.5, 0.75, 1)]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(text(at(tick), bottom + 18, percent(tick), class_="middle small quiet"))
    parts.append(text((at(0) + at(1)) / 2, bottom + 38, "accuracy", class_="middle small quiet"))
    for index, baseline in enumerate(baselines):
        parts.append(_baseline(baseline, at, 12.0 + 18 * index, bottom))
    for index, row in enumerate(rows):
        parts.append(_row(row, at, top + _ROW * (index + 0.5)))
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


def _baseline(baseline: Baseline, at: Scale, y: float, bottom: float) -> Markup:
    x = at(baseline.value)
    is_left = baseline.value <= 0.5
    words = f"{baseline.name} {percent(baseline.value)}"
    label = text(
        x + (6 if is_left else -6), y, words, class_=f"small quiet {'start' if is_left else 'end'}"
    )
    return line(x, y - 9, x, bottom, "dashed") + label


def _row(row: AccuracyRow, at: Scale, y: float) -> Markup:
    weight, tone = ("strong", "") if row.is_main else ("", " quiet")
    half = 7.0 if row.is_main else 5.0
    width = max(at(row.high) - at(row.low), 2)
    value = percent_exact(row.value)
    room = text_width(value) / 2
    x = min(max(at(row.value), at(0) + room), at(1) + 20 - room)
    return Markup("").join(
        [
            text(0, y + 4, shortened(row.name, 130), class_=f"{weight}"),
            element(
                "rect",
                x=at(row.low),
                y=y - half,
                width=width,
                height=2 * half,
                rx=2,
                class_=f"band{tone}",
            ),
            element("circle", cx=at(row.value), cy=y, r=half - 0.5, class_=f"dot{tone}"),
            text(x, y - half - 6, value, class_=f"middle small {weight}{tone}"),
        ]
    )


def percent_exact(share: float) -> str:
    """A share as ``80.0 %``."""
    return f"{100 * share:.1f} %"

"""Coverage against accuracy: how right the network is when it may keep silent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from markupsafe import Markup

from convoscope.arrays import FloatArray
from convoscope.pictures.axes import Frame, Scale, draw_axes, percent
from convoscope.pictures.svg import element, number, picture, text

_WIDTH, _HEIGHT = 360.0, 292.0
_FRAME = Frame(left=46, top=34, right=276, bottom=248)
_MOST_POINTS = 400
_LABEL_GAP = 15.0
_NAME_WIDTH = 36.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """Of one split the share of images kept and how many of those are right, (M,) each, from the
    surest image on.
    """

    name: str
    coverage: FloatArray
    accuracy: FloatArray
    colour: Literal["blue", "orange"]


class Threshold(NamedTuple):
    """A chosen threshold, at what it keeps and how right that is."""

    name: str
    coverage: float
    accuracy: float


def coverage_chart(curves: Sequence[Kept], thresholds: Sequence[Threshold] = ()) -> Markup:
    """Accuracy of the kept images against their share; the thresholds as rings on the curve."""
    least = min((float(curve.accuracy.min()) for curve in curves if len(curve.accuracy)), default=0)
    low = min(math.floor(4 * least) / 4, 0.75)
    across = Scale(low=0, high=1, start=_FRAME.left, end=_FRAME.right)
    up = Scale(low=low, high=1, start=_FRAME.bottom, end=_FRAME.top)
    axes = draw_axes(
        _FRAME,
        across,
        up,
        across_ticks=(0.0, 0.25, 0.5, 0.75, 1.0),
        up_ticks=up.ticks(4),
        across_label="pictures that get an answer",
        up_label="right, of those",
        across_written=percent,
        up_written=percent,
    )
    lines = [
        element("path", d=_path(curve, across, up), class_=f"curve {curve.colour}")
        for curve in curves
    ]
    marks = _marks(thresholds, across, up)
    ends = ", ".join(
        f"{curve.name} {percent(float(curve.accuracy[-1]))} at full coverage" for curve in curves
    )
    return picture(
        _WIDTH,
        _HEIGHT,
        axes,
        *lines,
        *marks,
        _names(curves, up),
        label=f"Accuracy against coverage: {ends}",
        class_="chart coverage",
    )


def _path(curve: Kept, across: Scale, up: Scale) -> str:
    """At most a few hundred points, spread evenly: nobody sees more."""
    count = len(curve.coverage)
    rows = np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).round().astype(int))
    points = [
        f"{number(across(float(curve.coverage[row])))} {number(up(float(curve.accuracy[row])))}"
        for row in rows
    ]
    return "M" + "L".join(points)


def _marks(thresholds: Sequence[Threshold], across: Scale, up: Scale) -> list[Markup]:
    """Rings named below on the left; one whose name would lie on the last one's, above."""
    marks: list[Markup] = []
    named = (-math.inf, -math.inf)
    for threshold in thresholds:
        x, y = across(threshold.coverage), up(threshold.accuracy)
        marks.append(element("circle", cx=x, cy=y, r=4.5, class_="dot"))
        if abs(x - named[0]) < _NAME_WIDTH and abs(y - named[1]) < _LABEL_GAP:
            marks.append(text(x + 8, y - 10, threshold.name, class_="small strong"))
        else:
            marks.append(text(x - 8, y + 16, threshold.name, class_="small end strong"))
            named = (x, y)
    return marks


def _names(curves: Sequence[Kept], up: Scale) -> Markup:
    parts, last = [], -math.inf
    for curve in sorted(curves, key=lambda c: -float(c.accuracy[-1])):
        y = max(up(float(curve.accuracy[-1])), last + _LABEL_GAP)
        last = y
        parts.append(text(_FRAME.right + 9, y + 4, curve.name, class_=curve.colour))
    return Markup("").join(parts)

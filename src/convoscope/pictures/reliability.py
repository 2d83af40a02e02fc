"""The reliability diagram: how often the network is right, against how sure it says it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from convoscope.pictures.axes import Frame, Scale, draw_axes, percent
from convoscope.pictures.svg import element, line, picture, text

_SIDE = 300.0
_FRAME = Frame(left=46, top=34, right=276, bottom=248)
_LARGEST_DOT = 11.0
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Bin(NamedTuple):
    """The ``n`` images of about that confidence, and the share of them that is right."""

    n: int
    confidence: float
    accuracy: float


def reliability_diagram(bins: Sequence[Bin]) -> Markup:
    """A dot per bin, its area by its images; on the diagonal, probabilities mean what they say."""
    across = Scale(low=0, high=1, start=_FRAME.left, end=_FRAME.right)
    up = Scale(low=0, high=1, start=_FRAME.bottom, end=_FRAME.top)
    axes = draw_axes(
        _FRAME,
        across,
        up,
        across_ticks=_TICKS,
        up_ticks=_TICKS,
        across_label="confidence",
        up_label="right",
        across_written=percent,
        up_written=percent,
    )
    most = max((b.n for b in bins), default=1)
    dots = [_dot(b, across, up, most) for b in sorted(bins, key=lambda b: -b.n)]
    total = sum(b.n for b in bins)
    return picture(
        _SIDE,
        _FRAME.bottom + 44,
        axes,
        line(across(0), up(0), across(1), up(1), "dashed"),
        text(across(0.16), up(0.92), "modest", class_="small quiet middle"),
        text(across(0.78), up(0.06), "overconfident", class_="small quiet middle"),
        *dots,
        label=f"Reliability diagram of {total} images in {len(bins)} bins of confidence",
        class_="chart reliability",
    )


def _dot(b: Bin, across: Scale, up: Scale, most: int) -> Markup:
    said = f"{b.n} images said with {percent(b.confidence)} confidence: {percent(b.accuracy)} right"
    radius = 2.5 + (_LARGEST_DOT - 2.5) * (b.n / most) ** 0.5
    return element(
        "circle",
        element("title", said),
        cx=across(b.confidence),
        cy=up(b.accuracy),
        r=radius,
        class_="dot",
    )

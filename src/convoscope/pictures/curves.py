"""Learning curves: a score against the epoch, as learnt and as validated."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from markupsafe import Markup

from convoscope.pictures.axes import Frame, Scale, draw_axes, even_ticks, percent, plain
from convoscope.pictures.svg import element, line, number, picture, text

WIDTH, HEIGHT = 460.0, 290.0
_FRAME = Frame(left=46, top=46, right=372, bottom=246)
_LOG_FROM = 100.0
_LABEL_GAP = 15.0

Colour: TypeAlias = Literal["orange", "blue", "green", "purple"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A score per epoch, ``nan`` where it was not measured."""

    name: str
    values: Sequence[float]
    colour: Colour
    is_dashed: bool = False

    @property
    def style(self) -> str:
        """The classes of its line."""
        return f"curve {self.colour} dashes" if self.is_dashed else f"curve {self.colour}"


def learning_curves(
    epochs: Sequence[int],
    curves: Sequence[Curve],
    *,
    score: str,
    unit: str = "",
    is_share: bool = False,
    best_epoch: int | None = None,
) -> Markup:
    """A chart of curves over the epochs, each named at its end, the best epoch marked.

    A share goes up to 100 % from the quarter below its least. Anything else starts at 0, or is
    drawn on a logarithmic axis if it falls by a factor of a hundred and more.
    """
    values = [v for curve in curves for v in curve.values if math.isfinite(v)]
    up = _upward(values, is_share)
    across = Scale(low=epochs[0], high=max(epochs[-1], epochs[0] + 1), start=50, end=_FRAME.right)
    notes = [unit, "log scale" if up.is_log else ""]
    brackets = ", ".join(note for note in notes if note)
    axes = draw_axes(
        _FRAME,
        across,
        up,
        across_ticks=_epoch_ticks(epochs),
        up_ticks=up.ticks(),
        across_label="epoch",
        up_label=f"{score} ({brackets})" if brackets else score,
        across_written=plain,
        up_written=percent if is_share else plain,
    )
    lines = [
        element("path", d=_path(epochs, curve.values, across, up), class_=curve.style)
        for curve in curves
    ]
    best = _best_mark(best_epoch, across) if best_epoch and best_epoch in epochs else Markup("")
    return picture(
        WIDTH,
        HEIGHT,
        axes,
        best,
        *lines,
        _end_labels(epochs, curves, across, up),
        label=_spoken(score, epochs, curves, best_epoch, is_share=is_share),
        class_="chart curves",
        data_hover=_hover(epochs, curves, across, is_share=is_share),
    )


def _upward(values: Sequence[float], is_share: bool) -> Scale:
    bottom, top = _FRAME.bottom, _FRAME.top
    if is_share:
        least = math.floor(4 * min(values, default=0.0)) / 4
        return Scale(low=min(least, 0.75), high=1, start=bottom, end=top)
    high = max(values, default=1.0)
    low = min((v for v in values if v > 0), default=high or 1.0)
    if high / low >= _LOG_FROM:
        return Scale(low=low, high=high, is_log=True, start=bottom, end=top)
    return Scale(low=0, high=high * 1.04 or 1.0, start=bottom, end=top)


def _epoch_ticks(epochs: Sequence[int]) -> list[float]:
    first, last = epochs[0], epochs[-1]
    if last - first < 8:
        return [float(epoch) for epoch in epochs]
    inner = [tick for tick in even_ticks(first, last, 5) if tick > first and tick == int(tick)]
    return [float(first), *(tick for tick in inner if tick - first > (last - first) / 12)]


def _path(epochs: Sequence[int], values: Sequence[float], across: Scale, up: Scale) -> str:
    steps, is_drawing = [], False
    for epoch, value in zip(epochs, values, strict=True):
        if not math.isfinite(value):
            is_drawing = False
            continue
        verb = "L" if is_drawing else "M"
        steps.append(f"{verb}{number(across(epoch))} {number(up(value))}")
        is_drawing = True
    return "".join(steps)


def _best_mark(epoch: int, across: Scale) -> Markup:
    x = across(epoch)
    side = "end" if x > (_FRAME.left + _FRAME.right) / 2 else "start"
    shift = -6 if side == "end" else 6
    return line(x, _FRAME.top - 18, x, _FRAME.bottom, "dashed") + text(
        x + shift, _FRAME.top - 10, f"best: epoch {epoch}", class_=f"small quiet {side}"
    )


def _end_labels(epochs: Sequence[int], curves: Sequence[Curve], across: Scale, up: Scale) -> Markup:
    ends = []
    for curve in curves:
        known = [(e, v) for e, v in zip(epochs, curve.values, strict=True) if math.isfinite(v)]
        if known:
            ends.append((up(known[-1][1]), across(known[-1][0]), curve.name, curve.colour))
    parts, last = [], -math.inf
    for height, x, name, colour in sorted(ends):
        y = max(height, last + _LABEL_GAP)
        last = y
        parts.append(element("circle", cx=x, cy=height, r=3.5, class_=f"dot {colour}"))
        parts.append(text(x + 9, y + 4, name, class_=colour))
    return Markup("").join(parts)


def _spoken(
    score: str,
    epochs: Sequence[int],
    curves: Sequence[Curve],
    best_epoch: int | None,
    *,
    is_share: bool,
) -> str:
    ends = []
    for curve in curves:
        known = [value for value in curve.values if math.isfinite(value)]
        if known:
            first, last = _said(known[0], is_share), _said(known[-1], is_share)
            ends.append(f"{curve.name} from {first} to {last}")
    best = f"; best epoch {best_epoch}" if best_epoch else ""
    return f"{score} over {len(epochs)} epochs: {', '.join(ends)}{best}"


def _said(value: float, is_share: bool) -> str:
    if not math.isfinite(value):
        return "–"
    return percent(value) if is_share else f"{value:.3g}"


def _hover(epochs: Sequence[int], curves: Sequence[Curve], across: Scale, *, is_share: bool) -> str:
    content = {
        "x": [round(across(epoch), 1) for epoch in epochs],
        "top": _FRAME.top,
        "bottom": _FRAME.bottom,
        "epochs": list(epochs),
        "curves": [
            {"name": curve.name, "said": [_said(value, is_share) for value in curve.values]}
            for curve in curves
        ],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

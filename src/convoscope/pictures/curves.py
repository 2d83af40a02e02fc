"""Learning curves: a score against the epoch, as learnt and as validated."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from markupsafe import Markup

from convoscope.pictures.axes import Frame, Scale, draw_axes, even_ticks, percent, plain
from convoscope.pictures.svg import element, line, number, picture, text, text_width

WIDTH, HEIGHT = 460.0, 290.0
_FRAME = Frame(left=46, top=46, right=372, bottom=246)
_LOG_FROM = 100.0
_LABEL_GAP = 15.0
_PHASES_ROW = 18
_SMALL = 12.0

Colour: TypeAlias = Literal["orange", "blue", "green", "purple"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A score per epoch, ``nan`` where it was not measured; a thin one is one of many alike, which
    nobody reads one by one: its name is not written.
    """

    name: str
    values: Sequence[float]
    colour: Colour
    is_dashed: bool = False
    is_thin: bool = False

    @property
    def style(self) -> str:
        """The classes of its line."""
        looks = (("dashes", self.is_dashed), ("thin", self.is_thin))
        return " ".join(["curve", self.colour, *(name for name, is_so in looks if is_so)])


class PhaseBegin(NamedTuple):
    """The first epoch of a phase of training, and the phase's name."""

    epoch: int
    name: str


def learning_curves(
    epochs: Sequence[int],
    curves: Sequence[Curve],
    *,
    score: str,
    unit: str = "",
    is_share: bool = False,
    best_epoch: int | None = None,
    phases: Sequence[PhaseBegin] = (),
) -> Markup:
    """A chart of curves over the epochs, each that is not thin named at its end, the best epoch
    marked.

    A share goes up to 100 % from the quarter below its least. Anything else starts at 0, or is
    drawn on a logarithmic axis if it falls by a factor of a hundred and more. Of several
    ``phases`` each is named in a row above the curves, with a line where it begins.
    """
    more = _PHASES_ROW if len(phases) > 1 else 0
    frame = replace(_FRAME, top=_FRAME.top + more, bottom=_FRAME.bottom + more)
    values = [v for curve in curves for v in curve.values if math.isfinite(v)]
    up = _upward(values, frame, is_share)
    across = Scale(low=epochs[0], high=max(epochs[-1], epochs[0] + 1), start=50, end=frame.right)
    notes = [unit, "log scale" if up.is_log else ""]
    brackets = ", ".join(note for note in notes if note)
    axes = draw_axes(
        frame,
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
    is_marked = best_epoch is not None and best_epoch in epochs
    named = [curve for curve in curves if not curve.is_thin]
    return picture(
        WIDTH,
        HEIGHT + more,
        axes,
        *(_phase_marks(phases, epochs[-1], across, frame) if more else ()),
        *([_best_mark(best_epoch, across, frame, above=more)] if best_epoch and is_marked else ()),
        *lines,
        _end_labels(epochs, named, across, up),
        label=_spoken(score, epochs, named, best_epoch, is_share=is_share) + _spoken_phases(phases),
        class_="chart curves",
        data_hover=_hover(epochs, named, across, frame, is_share=is_share),
    )


def _upward(values: Sequence[float], frame: Frame, is_share: bool) -> Scale:
    bottom, top = frame.bottom, frame.top
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


def _phase_marks(
    phases: Sequence[PhaseBegin], last: int, across: Scale, frame: Frame
) -> Iterator[Markup]:
    """A line between the last epoch of a phase and the first of the next, and a name to each that
    has the room for it.
    """
    begins = [across.start, *(across(phase.epoch - 0.5) for phase in phases[1:])]
    ends = [*begins[1:], max(across(last), across.end)]
    for place, (phase, begin, end) in enumerate(zip(phases, begins, ends, strict=True)):
        if place:
            yield line(begin, frame.top - _PHASES_ROW, begin, frame.bottom, "axis")
        if text_width(phase.name, _SMALL) + 8 <= end - begin:
            yield text(begin + 5, frame.top - 6, phase.name, class_="small quiet")


def _best_mark(epoch: int, across: Scale, frame: Frame, *, above: float) -> Markup:
    """A line at the best epoch, with its name; it leaves a row of that height ``above`` out."""
    x = across(epoch)
    side = "end" if x > (frame.left + frame.right) / 2 else "start"
    shift = -6 if side == "end" else 6
    through = line(x, frame.top if above else frame.top - 18, x, frame.bottom, "dashed")
    over = line(x, frame.top - 18 - above, x, frame.top - above, "dashed") if above else Markup("")
    return (
        over
        + through
        + text(
            x + shift, frame.top - 10 - above, f"best: epoch {epoch}", class_=f"small quiet {side}"
        )
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


def _spoken_phases(phases: Sequence[PhaseBegin]) -> str:
    later = ", ".join(f"{phase.name} from epoch {phase.epoch}" for phase in phases[1:])
    return f"; phases: {phases[0].name}, then {later}" if later else ""


def _said(value: float, is_share: bool) -> str:
    if not math.isfinite(value):
        return "–"
    return percent(value) if is_share else f"{value:.3g}"


def _hover(
    epochs: Sequence[int],
    curves: Sequence[Curve],
    across: Scale,
    frame: Frame,
    *,
    is_share: bool,
) -> str:
    content = {
        "x": [round(across(epoch), 1) for epoch in epochs],
        "top": frame.top,
        "bottom": frame.bottom,
        "epochs": list(epochs),
        "curves": [
            {"name": curve.name, "said": [_said(value, is_share) for value in curve.values]}
            for curve in curves
        ],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

"""Scales, ticks and the frame of a chart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.svg import line, text

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps values ``low`` .. ``high`` to pixels ``start`` .. ``end``, evenly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of ``value``; on a logarithmic scale nothing lies below ``low``."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        share = (value - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About ``count`` round values inside the scale."""
        if self.is_log:
            return log_ticks(self.low, self.high)
        return even_ticks(self.low, self.high, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The inner rectangle of a chart, in pixels."""

    left: float
    top: float
    right: float
    bottom: float


def even_ticks(low: float, high: float, count: int) -> list[float]:
    """Multiples of a round step between ``low`` and ``high``, about ``count`` of them."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(s for s in _STEPS if s * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between ``low`` and ``high``; below three of them also 2 and 5 times them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 1000 else (1,)
    values = [factor * 10.0**power for power in powers for factor in factors]
    inside = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return inside[:: max(1, len(inside) // 6)]


def draw_axes(
    frame: Frame,
    across: Scale,
    up: Scale,
    *,
    across_ticks: Sequence[float],
    up_ticks: Sequence[float],
    across_label: str,
    up_label: str,
    across_written: Callable[[float], str],
    up_written: Callable[[float], str],
) -> Markup:
    """Grid lines at the upward ticks, a base line, tick numbers and both labels with units.

    The upward label stands level above the axis, where it can be read without turning the head.
    """
    parts = [text(0, 14, up_label, class_="quiet small")]
    for value in up_ticks:
        parts.append(line(frame.left, up(value), frame.right, up(value), "grid"))
        parts.append(
            text(frame.left - 8, up(value) + 4, up_written(value), class_="end quiet small")
        )
    parts.append(line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    for value in across_ticks:
        parts.append(line(across(value), frame.bottom, across(value), frame.bottom + 4, "axis"))
        words = across_written(value)
        parts.append(text(across(value), frame.bottom + 18, words, class_="middle quiet small"))
    middle = (frame.left + frame.right) / 2
    parts.append(text(middle, frame.bottom + 36, across_label, class_="middle quiet small"))
    return Markup("").join(parts)


def plain(value: float) -> str:
    """A tick's value as people write it: ``0.05``, ``200``, ``1e-6``."""
    if value != 0 and abs(value) < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.10g}"


def percent(share: float) -> str:
    """A share as ``20 %``, which no line break parts."""
    return f"{100 * share:.3g}\N{NO-BREAK SPACE}%"

"""How a property is distributed in one class and in the others: one above the other, one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from convoscope.pictures.axes import Scale
from convoscope.pictures.svg import element, line, picture, shortened, text

_WIDTH = 520.0
_LEFT, _RIGHT, _TOP = 4.0, 516.0, 22.0
_HEIGHT = 62.0
_ROOM = 26.0
_TICKS = 4


def two_histograms(
    edges: Sequence[float],
    first: Sequence[int],
    second: Sequence[int],
    *,
    names: tuple[str, str],
    trait: str,
    written: Callable[[float], str],
) -> Markup:
    """Counts between neighbouring ``edges`` of two groups, each drawn to its own full height.

    ``first`` stands above the line and ``second`` hangs below it, so that groups that are alike
    mirror each other. ``written`` says an edge in people's words. Two bins are said by their names.
    """
    across = Scale(low=edges[0], high=edges[-1], start=_LEFT, end=_RIGHT)
    shares = [_shares(first), _shares(second)]
    up, down = (_HEIGHT / (max(of_group) or 1.0) for of_group in shares)
    middle = _TOP + _HEIGHT
    parts = [
        text(_LEFT, 13, _named(names[0], first), class_="small strong"),
        *_bars(across, edges, shares[0], middle, -up, "right", names[0], written),
        *_bars(across, edges, shares[1], middle, down, "wrong", names[1], written),
        line(_LEFT, middle, _RIGHT, middle, "axis"),
    ]
    bottom = middle + _HEIGHT
    parts.append(text(_LEFT, bottom + 16, _named(names[1], second), class_="small strong"))
    parts += _axis(across, edges, bottom + _ROOM, written)
    parts.append(text(_RIGHT, 13, trait, class_="small quiet end"))
    return picture(
        _WIDTH,
        bottom + _ROOM + 20,
        *parts,
        label=f"{trait} of {names[0]} (above) and of {names[1]} (below)",
        class_="chart histogram",
    )


def _bars(
    across: Scale,
    edges: Sequence[float],
    shares: Sequence[float],
    base: float,
    scale: float,
    tone: str,
    name: str,
    written: Callable[[float], str],
) -> list[Markup]:
    """A bar for each bin that has images; ``scale`` pixels per share, upwards if negative."""
    bars = []
    for low, high, share in zip(edges, edges[1:], shares, strict=False):
        if share:
            height = max(abs(share * scale), 1.5)
            said = f"{100 * share:.1f} % of {name}: {_between(low, high, edges, written)}"
            bars.append(
                element(
                    "rect",
                    element("title", said),
                    x=across(low) + 0.5,
                    y=base - height if scale < 0 else base,
                    width=max(across(high) - across(low) - 1, 1),
                    height=height,
                    class_=tone,
                )
            )
    return bars


def _axis(
    across: Scale, edges: Sequence[float], y: float, written: Callable[[float], str]
) -> list[Markup]:
    if len(edges) == 3:
        low, middle, high = edges
        return [
            text(across((low + middle) / 2), y + 14, written(low), class_="middle quiet small"),
            text(across((middle + high) / 2), y + 14, written(high), class_="middle quiet small"),
        ]
    ticks = across.ticks(_TICKS)
    return [
        line(across(tick), y - 4, across(tick), y, "axis") + _tick(across, tick, y, written)
        for tick in ticks
    ]


def _tick(across: Scale, tick: float, y: float, written: Callable[[float], str]) -> Markup:
    """A number below its tick, inside the picture at the ends."""
    x = across(tick)
    side = "start" if x < _LEFT + 24 else "end" if x > _RIGHT - 24 else "middle"
    return text(x, y + 14, written(tick), class_=f"{side} quiet small")


def _between(
    low: float, high: float, edges: Sequence[float], written: Callable[[float], str]
) -> str:
    if len(edges) == 3:
        return written(low if low == edges[0] else high)
    return f"{written(low)} to {written(high)}"


def _named(name: str, counts: Sequence[int]) -> str:
    return shortened(f"{name} ({sum(counts):,})", _WIDTH * 0.6)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]

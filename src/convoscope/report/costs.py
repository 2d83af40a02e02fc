"""How right things are for what they cost: accuracy against each cost in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from markupsafe import Markup

from convoscope.metrics.intervals import Figure
from convoscope.pictures.trade_off import Point, trade_off


class Costly(Protocol):
    """A variant or a rung."""

    @property
    def number(self) -> int:
        """On the page."""
        ...

    @property
    def validation(self) -> Figure:
        """The share of validation images that are named right."""
        ...


def cost_charts(
    compared: Sequence[Costly], costs: Sequence[tuple[str, str]], *, main: int
) -> tuple[tuple[str, Markup], ...]:
    """A chart under its name per cost that is known and not the same for all.

    ``costs`` are names and the attributes that hold them; ``main`` is the number to emphasise.
    """
    charts = []
    for name, attribute in costs:
        known = [(one, float(getattr(one, attribute) or 0)) for one in compared]
        known = [(one, cost) for one, cost in known if cost > 0]
        if len({cost for _, cost in known}) > 1:
            points = [_point(one, cost, is_main=one.number == main) for one, cost in known]
            charts.append((name, trade_off(points, cost=name)))
    return tuple(charts)


def _point(one: Costly, cost: float, *, is_main: bool) -> Point:
    figure = one.validation
    return Point(
        name=str(one.number),
        cost=cost,
        value=figure.value or 0.0,
        low=figure.low or 0.0,
        high=figure.high or 0.0,
        is_main=is_main,
    )

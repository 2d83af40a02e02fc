"""Figures with their intervals, as rows of a chart and as bars in cells of a table."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from convoscope.metrics.intervals import Figure
from convoscope.pictures.bars import AccuracyRow, interval_bar


def accuracy_row(
    name: str, figure: Figure, *, baseline: float | None = None, is_main: bool = False
) -> Iterator[AccuracyRow]:
    """The row of a figure; none where it is undefined."""
    if figure.value is not None and figure.low is not None and figure.high is not None:
        yield AccuracyRow(
            name=name,
            value=figure.value,
            low=figure.low,
            high=figure.high,
            baseline=baseline,
            is_main=is_main,
        )


def figure_bar(figure: Figure) -> Markup:
    """The bar of a figure; nothing where it is undefined."""
    if figure.value is None or figure.low is None or figure.high is None:
        return Markup("")
    return interval_bar(figure.value, figure.low, figure.high)

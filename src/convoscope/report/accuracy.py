"""Accuracies as rows of a chart."""

from __future__ import annotations

from collections.abc import Iterator

from convoscope.metrics.intervals import Figure
from convoscope.pictures.bars import AccuracyRow


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

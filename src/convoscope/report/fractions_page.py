"""How much data is needed, as one self-contained page: a curve per way of training, and a table."""

from __future__ import annotations

import shlex
from pathlib import Path

from markupsafe import Markup

from convoscope import disk
from convoscope.pictures.curves import Colour
from convoscope.pictures.data_curve import DataCurve, Measured, data_curves
from convoscope.report.accuracy import figure_bar
from convoscope.report.shell import fill
from convoscope.runs.learning_curve import LearningCurves, Point
from convoscope.runs.store import Run

_COLOURS: tuple[Colour, ...] = ("orange", "blue", "green", "purple")


def write(run: Run, found: LearningCurves, file: Path | None = None) -> Path:
    """Write the run's ``report.html``, all of it or nothing.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    page = file or run.report_file
    disk.write_text(page, render(run, found))
    return page


def render(run: Run, found: LearningCurves) -> str:
    """The page as text."""
    record = run.record()
    return fill(
        "fractions.html",
        styles=("compare.css", "vary.css", "ladder.css"),
        run={"name": run.name},
        record=record,
        found=found,
        chart=_chart(found),
        bars={
            (curve.way.name, point.fraction): figure_bar(point.validation)
            for curve in found.curves
            for point in curve.points
        },
        command=shlex.join(record.command),
    )


def _chart(found: LearningCurves) -> Markup:
    return data_curves(
        [
            DataCurve(
                name=curve.way.title,
                points=[_measured(point) for point in curve.points],
                colour=_COLOURS[place % len(_COLOURS)],
                is_dashed=place >= len(_COLOURS),
            )
            for place, curve in enumerate(found.curves)
        ]
    )


def _measured(point: Point) -> Measured:
    figure = point.validation
    return Measured(
        at=point.per_class,
        value=figure.value or 0.0,
        low=figure.low or 0.0,
        high=figure.high or 0.0,
    )

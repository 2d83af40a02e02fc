"""The section of a run's report on what its layers do, in figures and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup

from convoscope.explain.statement_files import read_statements
from convoscope.explain.statements import Statement
from convoscope.metrics.intervals import Figure
from convoscope.pictures.curves import Colour
from convoscope.pictures.data_curve import DataCurve, Measured, Words, data_curves
from convoscope.report import wording
from convoscope.runs.explanation_files import explanations_of

TITLES: Final[Mapping[str, str]] = {
    "direction": "Do the first filters look for edges?",
    "separability": "Where do the classes come apart?",
    "shift": "Does it matter where the thing is?",
    "thing": "Is the evidence on the thing?",
}


_COLOURS: Final[tuple[Colour, ...]] = ("blue", "orange", "green", "purple")
_SHIFTS: Final = Words(
    across="pixels that the image moves (log scale)",
    up="similarity of a layer’s output",
    label="Similarity of layers’ outputs against how far images move",
    written=lambda value: f"{value:.2f}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRow:
    """A layer, or a method, with its figure, interval and chance as words; ``share`` (0 to 1) is
    the figure as a bar.
    """

    layer: str
    value: str
    interval: str
    chance: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked, the answers for the first and the last layer, and a row for each; ``of``
    says what the rows are of; ``chart`` shows more than the rows do.
    """

    title: str
    sentences: tuple[str, ...]
    rows: tuple[StatedRow, ...]
    has_chance: bool
    of: str
    chart: Markup | None = None


def statements_section(run: Path) -> tuple[Question, ...]:
    """What was measured last of a run's layers, question by question; empty where nothing was.

    Raises:
        RunError: if it is not whole.
    """
    for folder in reversed(explanations_of(run)):
        if said := read_statements(folder.path):
            return questions(said)
    return ()


def questions(said: tuple[Statement, ...]) -> tuple[Question, ...]:
    """The statements by what they are about, in the order of :data:`TITLES`."""
    by_title = {title: [s for s in said if s.about == about] for about, title in TITLES.items()}
    return tuple(
        Question(
            title=title,
            sentences=tuple(dict.fromkeys([found[0].sentence, found[-1].sentence])),
            rows=tuple(map(_row, found)),
            of="method" if found[0].about == "thing" else "layer",
            has_chance=any(statement.chance is not None for statement in found),
            chart=_chart(found),
        )
        for title, found in by_title.items()
        if found
    )


def _chart(found: Sequence[Statement]) -> Markup | None:
    """How alike the output of layers spread over the network is against how far images move."""
    shifting = [statement for statement in found if len(statement.shifts) > 1]
    if not shifting:
        return None
    few = np.linspace(0, len(shifting) - 1, min(len(_COLOURS), len(shifting))).round().astype(int)
    curves = [
        DataCurve(
            name=_with_step(shifting[place], "{layer} (1 : {step})"),
            colour=colour,
            points=[
                Measured(
                    at=float(shift.pixels),
                    value=shift.figure.value or 0.0,
                    low=shift.figure.low or 0.0,
                    high=shift.figure.high or 0.0,
                )
                for shift in shifting[place].shifts
            ],
        )
        for place, colour in zip(few, _COLOURS, strict=False)
    ]
    return data_curves(curves, _SHIFTS)


def _with_step(statement: Statement, words: str = "{layer}, a cell per {step} px") -> str:
    """The layer, and how far its cells are apart where pooling has moved them so."""
    if statement.step is None or statement.step < 2:
        return statement.layer
    return words.format(layer=statement.layer, step=statement.step)


def _row(statement: Statement) -> StatedRow:
    is_share = statement.about != "shift"
    value = statement.figure.value
    return StatedRow(
        layer=_with_step(statement),
        value=_said(value, is_share),
        interval=_interval(statement.figure, is_share),
        chance=_said(statement.chance, is_share),
        share=min(max(value or 0.0, 0.0), 1.0),
    )


def _said(value: float | None, is_share: bool) -> str:
    if value is None:
        return wording.UNKNOWN
    return wording.share(value) if is_share else f"{value:.2f}"


def _interval(figure: Figure, is_share: bool) -> str:
    if figure.low is None or figure.high is None:
        return wording.UNKNOWN
    return wording.interval(figure) if is_share else f"{figure.low:.2f}–{figure.high:.2f}"

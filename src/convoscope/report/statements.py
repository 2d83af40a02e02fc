"""The section of a run's report on what its layers do, in figures and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convoscope.explain.statement_files import read_statements
from convoscope.explain.statements import Statement
from convoscope.metrics.intervals import Figure
from convoscope.report import wording
from convoscope.runs.explanation_files import explanations_of

TITLES: Final[Mapping[str, str]] = {
    "direction": "Do the first filters look for edges?",
    "separability": "Where do the classes come apart?",
    "shift": "Does it matter where the thing is?",
    "thing": "Is the evidence on the thing?",
}


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
    says what the rows are of.
    """

    title: str
    sentences: tuple[str, ...]
    rows: tuple[StatedRow, ...]
    has_chance: bool
    of: str


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
        )
        for title, found in by_title.items()
        if found
    )


def _row(statement: Statement) -> StatedRow:
    is_share = statement.about != "shift"
    value = statement.figure.value
    return StatedRow(
        layer=statement.layer,
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

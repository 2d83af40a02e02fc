"""What the terminal says of scored explanations: the leaderboard of methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convoscope.cli import tables

if TYPE_CHECKING:
    from pathlib import Path

    from convoscope.metrics.intervals import Figure


def scores_json(folder: Path) -> dict[str, Any] | None:
    """The leaderboard and the scores of every image, as ``explain --json`` prints them; ``None``
    where the explanation was not scored.

    Raises:
        RunError: if the scores are not whole.
    """
    from dataclasses import asdict

    from convoscope.explain.scores.board import leaderboard
    from convoscope.runs.explanation_scores import read_scores

    scores = read_scores(folder)
    if scores is None:
        return None
    rows = [row.to_json() for row in leaderboard(scores)] if scores.images else []
    return {"leaderboard": rows} | asdict(scores)


def print_scores(folder: Path) -> None:
    """The leaderboard as a table, with the marks; nothing where the explanation was not scored.

    Raises:
        RunError: if the scores are not whole.
    """
    from convoscope.explain.scores.board import leaderboard
    from convoscope.report.trust import trust_section
    from convoscope.runs.explanation_scores import read_scores

    scores = read_scores(folder)
    if scores is None or not scores.images:
        return
    table = tables.plain_table(
        "method", "ahead of centre", "interval", "insertion", "deletion", "drop", "stable",
        "unlearnt", "",
    )  # fmt: skip
    table.columns[-1].justify = "left"
    for row in leaderboard(scores):
        figures = (row.insertion, row.deletion, row.drop, row.stability, row.unlearnt)
        table.add_row(
            row.title,
            _signed(row.over_centre.value),
            _between(row.over_centre),
            *(_plain(figure) for figure in figures),
            "; ".join(row.marks),
        )
    section = trust_section(scores)
    tables.out().print(table)
    click.echo(section.sentence)


def _plain(figure: Figure) -> str:
    return "-" if figure.value is None else f"{figure.value:.2f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _between(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{figure.low:+.2f} to {figure.high:+.2f}"

"""``explain --statements``: what a run's layers do, as sentences on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from convoscope.explain.statements import Statement

Measure: TypeAlias = "Callable[[Path, Any, str, bool], tuple[Statement, ...]]"
"""Given the folder to write to, the engine, the device, and whether to be quiet."""


def stating(run: Path | None) -> Measure:
    """What measures the network of a run, checked to be one before anything is computed.

    Raises:
        SettingsError: if it is none.
    """
    from convoscope.jobs.statements import check_stated

    check_stated(run)
    assert run is not None, "checked"
    named = run

    def measure(folder: Path, engine: Any, device: str, is_quiet: bool) -> tuple[Statement, ...]:
        from convoscope.cli import tables
        from convoscope.cli.progress import display
        from convoscope.explain.statement_files import write_statements
        from convoscope.jobs.statements import of_scores, statements_of

        with display(tables.console(is_error=True), is_quiet=is_quiet) as show:
            own = statements_of(named, engine=engine, device=device, progress=show.stage)
        said = (*own, *of_scores(folder))
        write_statements(folder, said)
        return said

    return measure


def print_statements(statements: Sequence[Statement]) -> None:
    """A line for each."""
    for statement in statements:
        click.echo(f"· {statement.sentence}")

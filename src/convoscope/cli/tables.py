"""Figures as tables on the terminal; every accuracy stands beside its interval."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

import click
from rich.console import Console
from rich.table import Table

from convoscope.metrics.intervals import Figure
from convoscope.metrics.summary import SplitMetrics

_LONG = 1e6  # from here on a figure, such as the loss of a training gone astray, is a power of ten
_PLAIN_WIDTH = 10_000  # a file or a pipe: a name that is broken in two cannot be used


def out() -> Console:
    """The console of results; where there is no terminal, wide enough to keep a row on a line."""
    return console(is_error=False)


def console(*, is_error: bool) -> Console:
    """A console on stdout or stderr as they are now."""
    stream = sys.stderr if is_error else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    # Class and file names are shown as they are: "[red]" and ":cat:" mean nothing here.
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print a line of results as it is, however long."""
    click.echo(text)


def metrics_table(metrics: Iterable[SplitMetrics]) -> Table:
    """A row per split and head: images, accuracy, balanced accuracy and loss, with intervals."""
    splits = list(metrics)
    has_heads = any(len(split.heads) > 1 for split in splits)
    level = f"{splits[0].level:.0%}" if splits else "95%"
    table = plain_table(
        "split",
        *(["head"] if has_heads else []),
        "images",
        "accuracy",
        f"{level} interval",
        "balanced",
        "loss",
    )
    for split in splits:
        for name, head in split.heads.items():
            row = [number(head.accuracy), interval(head.accuracy), number(head.balanced_accuracy)]
            names = [split.split, *([name] if has_heads else [])]
            table.add_row(*names, f"{head.n:,}", *row, number(head.loss))
        if has_heads:
            whole = split.whole
            row = [number(whole.accuracy), interval(whole.accuracy), "", number(split.loss)]
            table.add_row(split.split, "all right", f"{whole.n:,}", *row)
    return table


def plain_table(*columns: str, left: int = 1) -> Table:
    """A table without a frame; the first ``left`` columns are words, the others numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for position, column in enumerate(columns):
        is_word = position < left or column in ("head", "status", "class", "model", "data")
        table.add_column(column, justify="left" if is_word else "right", overflow="fold")
    return table


def cell(value: object) -> str:
    """A value for a table; nothing is a dash, a float has four decimals."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def number(figure: Figure) -> str:
    """A figure's value with four decimals, or a dash where it is undefined."""
    if figure.value is None or figure.value != figure.value:
        return "-"
    return f"{figure.value:.3g}" if figure.value >= _LONG else f"{figure.value:.4f}"


def interval(figure: Figure) -> str:
    """A figure's interval, or a dash where it is undefined.

    Three decimals, or four where an end of a share is so near to 0 or 1 that they would hide it.
    """
    if figure.low is None or figure.high is None or figure.low != figure.low:
        return "-"
    is_near = any(0 < min(abs(end), abs(1 - end)) < 0.001 for end in (figure.low, figure.high))
    decimals = 4 if is_near else 3
    return f"{figure.low:.{decimals}f} to {figure.high:.{decimals}f}"


def facts(pairs: Mapping[str, object]) -> Table:
    """Names and values, one pair per line; empty values are left out."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        if value not in (None, ""):
            table.add_row(name, str(value))
    return table

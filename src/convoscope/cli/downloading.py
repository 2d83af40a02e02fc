"""How far a download is: a bar on a terminal, a line now and then anywhere else, or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from convoscope import download
from convoscope.cli.runs import size_text

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def downloading(console: Console, name: str, *, is_quiet: bool) -> Iterator[download.Progress]:
    """What to tell bytes done and bytes in all, while ``name`` is being downloaded."""
    if is_quiet:
        yield download.unwatched
    elif console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _lines(console, name)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _lines(console: Console, name: str) -> download.Progress:
    last = time.monotonic()

    def tell(done: int, total: int | None) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            of = "" if total is None else f" of {size_text(total)}"
            console.print(f"downloading {name}: {size_text(done)}{of}", soft_wrap=True)

    return tell

"""``convoscope report``: a run, as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Write the report of RUN anew, from what the run has saved, and print where it is.

    It is one file, report.html in the run's folder, that needs nothing else and no network.

    \b
    convoscope report runs/photos-small-1
    """  # noqa: D301 - click reads the backspace
    from convoscope import report as pages
    from convoscope.runs import open_run

    click.echo(str(pages.write(open_run(run))))

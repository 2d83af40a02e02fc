"""``convoscope report``: a run, as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


@click.command("report")
@click.argument("run", type=_FILE)
@click.option("--out", "-o", type=_FILE, metavar="FILE", help="Where the page goes. [in RUN]")
def report(run: Path, out: Path | None) -> None:
    """Write the report of RUN anew, from what the run has saved, and print where it is.

    It is one file, report.html in the run's folder, that needs nothing else and no network. Of a
    folder of explanations it is explain.html, of favourite inputs favourites.html, of an atlas
    atlas.html.

    \b
    convoscope report runs/photos-small-1
    convoscope report runs/photos-small-1 --out photos.html
    convoscope report runs/photos-small-1/explanations/1
    """  # noqa: D301 - click reads the backspace
    from convoscope import report as pages
    from convoscope.report import atlas_page, explain_page, maximise_page
    from convoscope.runs import open_run
    from convoscope.runs.explanation_files import is_explanations, open_explanations
    from convoscope.runs.inside_files import kind_of, open_inside
    from convoscope.runs.ladder import LADDER
    from convoscope.runs.learning_curve import LEARNING_CURVE
    from convoscope.runs.variations import VARIATIONS

    if (kind := kind_of(run)) is not None:
        write = {"favourites": maximise_page.write, "atlas": atlas_page.write}[kind]
        click.echo(str(write(open_inside(run, kind), out)))
        return
    if is_explanations(run):
        click.echo(str(explain_page.write(open_explanations(run), out)))
        return
    opened = open_run(run)
    if opened.record().kind == VARIATIONS:
        from convoscope.cli import varying

        click.echo(str(varying.write_page(opened, file=out)))
        return
    if opened.record().kind in (LADDER, LEARNING_CURVE):
        from convoscope.cli import climbing

        click.echo(str(climbing.write_page(opened, out)))
        return
    click.echo(str(pages.write(opened, out)))

"""``convoscope predict``: say what is in pictures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convoscope.cli.failures import MISTAKE

if TYPE_CHECKING:
    from convoscope.jobs.predict import ImagePrediction
    from convoscope.network import Engine


@click.command("predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE|DIR...", type=click.Path(path_type=Path)
)
@click.option("--top", "-k", default=3, show_default=True, help="So many classes per image.")
@click.option("--engine", type=click.Choice(["torch", "numpy"]), help="Compute on that engine.")
@click.option("--device", "-d", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: file, head, rank, class, ...")
@click.pass_context
def predict(
    ctx: click.Context,
    run: Path,
    images: tuple[Path, ...],
    top: int,
    engine: Engine | None,
    device: str,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Say what the trained RUN sees in each IMAGE, and in each image below each DIR.

    An image that cannot be read is named and the others go on; the exit code is then 2.

    \b
    convoscope predict runs/photos-small-1 cat.jpg
    convoscope predict runs/photos-small-1 holiday/ --csv > holiday.csv
    """  # noqa: D301 - click reads the backspace
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv", ctx)
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs import predict as job

    with display(tables.console(is_error=True), is_quiet=True) as show:
        found = job.predict(run, images, top=top, engine=engine, device=device, progress=show.stage)
    if as_json:
        content = {"run": str(run), "images": [image.to_json() for image in found]}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(csv_text(found), nl=False)
    else:
        _print_table(found)
    ctx.exit(_name_unreadable(found))


def csv_text(found: Sequence[ImagePrediction]) -> str:
    """A line per image, head and rank; an unreadable image has a line with its problem alone."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", "head", "rank", "class", "probability", "problem"])
    for image in found:
        if image.problem is not None:
            writer.writerow([image.file, "", "", "", "", image.problem])
        for head, classes in image.heads.items():
            for rank, best in enumerate(classes, start=1):
                writer.writerow([image.file, head, rank, best.name, f"{best.probability:.6f}", ""])
    return stream.getvalue()


def _print_table(found: Sequence[ImagePrediction]) -> None:
    from convoscope.cli import tables

    has_heads = any(len(image.heads) > 1 for image in found)
    table = tables.plain_table("image", *(["head"] if has_heads else []), "says", left=3)
    for image in found:
        for head, classes in image.heads.items():
            said = ", ".join(f"{best.name} {best.probability:.1%}" for best in classes)
            names = [str(image.file), *([head] if has_heads else [])]
            table.add_row(*names, said)
    if table.row_count:
        tables.out().print(table)


def _name_unreadable(found: Sequence[ImagePrediction]) -> int:
    unreadable = [image for image in found if image.problem is not None]
    for image in unreadable:
        click.echo(f"convoscope: {image.problem}", err=True)
    if unreadable:
        click.echo(f"{len(unreadable)} of {len(found)} images could not be read", err=True)
    return MISTAKE if unreadable else 0

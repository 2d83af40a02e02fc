"""``convoscope doubts``: labels to look at again, images to label next."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from convoscope.metrics.review import Review
    from convoscope.network import Engine

_PATH = click.Path(path_type=Path)


@click.command("doubts")
@click.argument("run", type=_PATH)
@click.option(
    "--split", multiple=True, help="Look at that split; may be given again. [validation and test]"
)
@click.option("--top", "-k", default=24, show_default=True, help="So many images of each kind.")
@click.option(
    "--unlabelled", type=_PATH, metavar="DIR", help="Images without labels: which to label next."
)
@click.option("--out", "-o", type=_PATH, metavar="FILE", help="Where the page goes. [in RUN]")
@click.option("--engine", type=click.Choice(["torch", "numpy"]), help="Compute on that engine.")
@click.option("--device", "-d", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; a page with --out.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV; a page with --out.")
@click.pass_context
def doubts(
    ctx: click.Context,
    run: Path,
    split: tuple[str, ...],
    top: int,
    unlabelled: Path | None,
    out: Path | None,
    engine: Engine | None,
    device: str,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show which labels of RUN's data are probably wrong, and which images are hard to tell.

    From the saved predictions of images that the network did not learn from: out-of-fold ones
    where RUN has them, else validation and test. With --unlabelled also which images of a folder
    a label would teach most about. Writes a page with their pictures.

    \b
    convoscope doubts runs/photos-small-1
    convoscope doubts runs/photos-small-1 --unlabelled new-photos --csv > label-these.csv
    """  # noqa: D301 - click reads the backspace
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv", ctx)
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs.doubts import doubts as job
    from convoscope.report import doubts_page
    from convoscope.runs import Run

    with display(tables.console(is_error=True), is_quiet=True) as show:
        found = job(
            run,
            splits=split,
            top=top,
            unlabelled=unlabelled,
            engine=engine,
            device=device,
            progress=show.stage,
        )
    page = out or (None if as_json or as_csv else Run(run).doubts_file)
    if page is not None:
        doubts_page.write(found.review, found.pictures, page)
    if as_json:
        click.echo(json.dumps(found.review.to_json(), indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(csv_text(found.review), nl=False)
    else:
        _print(found.review)
        click.echo(f"page    {page}")


def csv_text(review: Review) -> str:
    """A line per image: which head, why it is named (doubted, ambiguous, next), and what was said.

    ``label`` is empty where not known; ``margin`` is that of the two probabilities.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            "head",
            "kind",
            "file",
            "split",
            "label",
            "first",
            "probability",
            "second",
            "probability_2",
        ]
    )
    for head in review.heads:
        for doubt in head.doubted:
            said = (doubt.suggested, f"{doubt.suggested_probability:.6f}")
            given = (doubt.given, f"{doubt.given_probability:.6f}")
            writer.writerow(
                [head.head, "doubted", doubt.id, doubt.split, doubt.given, *said, *given]
            )
        for kind, images in (("ambiguous", head.ambiguous), ("next", head.next)):
            for image in images:
                first = (image.first, f"{image.first_probability:.6f}")
                second = (image.second, f"{image.second_probability:.6f}")
                label = image.given or ""
                writer.writerow([head.head, kind, image.id, image.split, label, *first, *second])
    return stream.getvalue()


def _print(review: Review) -> None:
    from convoscope.cli import tables
    from convoscope.report.doubts_page import caution, lead

    for note in review.notes:
        click.echo(f"note: {note}")
    for sentence in filter(None, (lead(review), caution(review))):
        click.echo(sentence.replace("\N{NO-BREAK SPACE}", " "))
    has_heads = len(review.heads) > 1
    table = tables.plain_table("image", *(["head"] if has_heads else []), "label", "rather", left=4)
    for head in review.heads:
        for doubt in head.doubted:
            names = [doubt.id, *([head.head] if has_heads else [])]
            given = f"{doubt.given} {doubt.given_probability:.1%}"
            table.add_row(*names, given, f"{doubt.suggested} {doubt.suggested_probability:.1%}")
    if table.row_count:
        tables.out().print(table)
    if table.row_count < sum(head.doubts for head in review.heads):
        click.echo("the least plausible are shown; --top says how many")
    for head in review.heads:
        if head.next:
            tables.say(f"label next{f' ({head.head})' if has_heads else ''}:")
            for image in head.next:
                tables.say(f"  {image.id}  {image.first} or {image.second}")

"""``convoscope compare``: trained runs beside one another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from convoscope.runs.comparison import Comparison

_FILE = click.Path(path_type=Path)


@click.command("compare")
@click.argument("run", nargs=-1, required=True, metavar="RUN RUN...", type=_FILE)
@click.option("--split", default="test", show_default=True, help="Compare on that split.")
@click.option("--out", "-o", type=_FILE, metavar="FILE", help="Where the page goes. [compare.html]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; a page with --out.")
def compare(run: tuple[Path, ...], split: str, out: Path | None, as_json: bool) -> None:
    """Say which RUN is better on the same test images, and whether that is more than noise.

    The runs must have been tested on the same files. Writes a page with every figure, the
    learning curves over one another, and the pictures that one run gets right and another wrong.

    \b
    convoscope compare runs/photos-small-1 runs/photos-vgg11-1
    convoscope compare runs/photos-* --split validation --out choice.html
    """  # noqa: D301 - click reads the backspace
    from convoscope.jobs.compare import compare as job
    from convoscope.jobs.originals import small_pictures
    from convoscope.report import compare_page
    from convoscope.runs import Run

    found = job(run, split=split)
    page = out or (None if as_json else Path("compare.html"))
    if page is not None:
        compare_page.write(
            found, small_pictures([Run(path) for path in run], found.shown_ids), page
        )
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    _print(found)
    click.echo(f"page    {page}")


def _print(found: Comparison) -> None:
    from convoscope.cli import tables
    from convoscope.cli.progress import duration

    columns = ("", "run", "model", "accuracy", f"{found.level:.0%} interval", "balanced")
    table = tables.plain_table(
        *columns, "macro F1", "loss", "parameters", "MACs", "training", left=3
    )
    for entry in found.entries:
        whole = entry.metrics.whole.accuracy
        (head, *others) = entry.metrics.heads.values()
        table.add_row(
            entry.letter,
            entry.name,
            entry.model,
            tables.number(whole),
            tables.interval(whole),
            "" if others else tables.number(head.balanced_accuracy),
            "" if others else tables.number(head.macro.f1),
            tables.number(entry.metrics.loss),
            f"{entry.parameters:,}",
            f"{entry.macs:,}",
            duration(entry.seconds),
        )
    tables.out().print(table)
    for verdict in found.verdicts:
        click.echo(verdict.sentence)
    for note in found.notes[:-1]:
        click.echo(f"note: {note}")

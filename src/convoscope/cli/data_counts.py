"""``convoscope data info`` and ``data split``: images counted, and divided."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convoscope.cli import data_fetch
from convoscope.cli.reading import reading_options

if TYPE_CHECKING:
    from rich.table import Table

_FILE = click.Path(path_type=Path)
group_by_option = click.option(
    "--group-by",
    metavar="COLUMN|PATTERN",
    help="What belongs together: a column of the table, 'folder', or a pattern such as "
    "'patient*_' in the images' paths.",
)


@click.command("info", short_help="Count images per class, as they are and as divided.")
@click.argument("source", metavar="DATA")
@click.option("--validation", default=0.1, show_default=True, metavar="PART")
@click.option("--test", default=0.2, show_default=True, metavar="PART")
@group_by_option
@reading_options
@click.option("--seed", "-s", default=0, show_default=True, help="Same seed, same split.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def info(
    source: str,
    validation: float,
    test: float,
    group_by: str | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Count the images of DATA per class, and show what training would divide them into.

    Of a data set with a name, say also who made it and what may be done with it.
    """
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs import data_split as job
    from convoscope.jobs.data_fetch import about

    known = about(source)
    named = {} if known is None else {"named": known.to_json()}
    if known is not None and not as_json:
        tables.out().print(tables.facts(data_fetch.facts(known)))
    if known is not None and not known.is_here:
        if as_json:
            click.echo(json.dumps({"schema_version": 1, **named}, indent=2, ensure_ascii=False))
        return
    with display(tables.console(is_error=True), is_quiet=quiet or as_json) as show:
        found = job.info(
            source,
            validation=validation,
            test=test,
            group_by=group_by,
            seed=seed,
            progress=show.stage,
            **reading,
        )
    if as_json:
        click.echo(json.dumps({**found.to_json(), **named}, indent=2, ensure_ascii=False))
        return
    console = tables.out()
    console.print(
        tables.facts(
            {
                "data": None if known else found.place,
                "images": readable(found.images, found.files),
                "width": _spread(found.width.least, found.width.median, found.width.largest),
                "height": _spread(found.height.least, found.height.median, found.height.largest),
                "modes": ", ".join(f"{mode} {count:,}" for mode, count in found.modes.items()),
                "gray": f"{found.gray:,}",
                "split": "given" if found.is_given_split else "none: training would divide so",
            }
        )
    )
    for head, counts in (found.planned or found.counts).items():
        console.print(counts_table(head, counts))
    if found.problem is not None:
        click.echo(f"cannot be divided: {found.problem}")
    for note in found.notes:
        click.echo(f"note: {note}")


@click.command("split", short_help="Divide images, and write down how.")
@click.argument("source", metavar="DATA")
@click.option("--out", "-o", type=_FILE, default=Path("split.csv"), show_default=True)
@click.option("--validation", default=0.1, show_default=True, metavar="PART")
@click.option("--test", default=0.2, show_default=True, metavar="PART")
@group_by_option
@reading_options
@click.option("--seed", "-s", default=0, show_default=True, help="Same seed, same split.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out images that cannot be decoded.")
@click.option("--replace", is_flag=True, help="Overwrite the file if it is there.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def split(
    source: str,
    out: Path,
    validation: float,
    test: float,
    group_by: str | None,
    seed: int,
    skip_unreadable: bool,
    replace: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Divide DATA into training, validation and test images, and write that down.

    Every class is divided alike; the same picture, or nearly the same, stays in one split. --test
    is the part of all images, --validation the part of what is left. Train with it by

    \b
    convoscope train DATA --model small --split split.csv
    """  # noqa: D301 - click reads the backspace
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs import data_split as job

    with display(tables.console(is_error=True), is_quiet=quiet) as show:
        dataset, splits = job.divide(
            source,
            out,
            validation=validation,
            test=test,
            group_by=group_by,
            seed=seed,
            skip_unreadable=skip_unreadable,
            replace=replace,
            progress=show.stage,
            **reading,
        )
    for head, counts in job.counts_of(dataset, splits.indices).items():
        tables.out().print(counts_table(head, counts))
    for note in splits.notes:
        click.echo(f"note: {note}")
    click.echo(f"split   {out}")


def counts_table(head: str, counts: Mapping[str, Mapping[str, int]]) -> Table:
    """A row per class, a column per split, and the sums."""
    from convoscope.cli import tables

    splits = list(next(iter(counts.values())))
    is_split = len(splits) > 1
    table = tables.plain_table(head, *splits, *(["all"] if is_split else []))
    for name, of_split in counts.items():
        sums = [sum(of_split.values())] if is_split else []
        table.add_row(name, *(f"{n:,}" for n in [*of_split.values(), *sums]))
    totals = [sum(of_class[split] for of_class in counts.values()) for split in splits]
    table.add_row("all", *(f"{n:,}" for n in [*totals, *([sum(totals)] if is_split else [])]))
    return table


def readable(images: int, files: int) -> str:
    """How many images can be read, and of how many files if not of all."""
    return f"{images:,}" if images == files else f"{images:,} readable of {files:,}"


def _spread(least: float, median: float, largest: float) -> str:
    if least == largest:
        return f"{least:,.0f} px"
    return f"{least:,.0f} to {largest:,.0f} px, median {median:,.0f}"

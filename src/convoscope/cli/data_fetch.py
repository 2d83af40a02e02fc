"""``convoscope data list`` and ``data fetch``: the data sets that go by a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from convoscope.jobs.data_fetch import Known


@click.command("list", short_help="Which data sets go by a name, and which are here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_sets(as_json: bool) -> None:
    """List the data sets that go by a name: images, classes, size, licence, and whether they are
    on this machine.

    \b
    convoscope data fetch mnist
    convoscope train mnist --model lenet-5
    """  # noqa: D301 - click reads the backspace
    from convoscope.cli import tables
    from convoscope.jobs import data_fetch as job

    known = job.listing()
    if as_json:
        sets = [each.to_json() for each in known]
        click.echo(json.dumps({"schema_version": 1, "sets": sets}, indent=2, ensure_ascii=False))
        return
    table = tables.plain_table("data", "images", "classes", "download", "here", "pixels", "licence")
    for column in table.columns[4:]:
        column.justify = "left"
    for each in known:
        named = each.named
        table.add_row(
            named.name,
            f"{named.images:,}",
            f"{named.classes}",
            _size(each),
            _here(each),
            named.pixels,
            named.licence,
        )
    tables.out().print(table)


@click.command("fetch", short_help="Download a named data set, or take it from a copy.")
@click.argument("name", metavar="NAME")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Take it from this folder or archive, and not from the network.",
)
@click.option("--replace", is_flag=True, help="Get it again if it is here already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def fetch(name: str, source: Path | None, replace: bool, as_json: bool, quiet: bool) -> None:
    """Get the data set NAME into the cache, once; then it is used by its name without a network.

    A download that was cut off is gone on with by the same command. What comes is compared with
    the published checksum, where there is one.

    \b
    convoscope data fetch mnist
    convoscope data fetch caltech101 --from ~/101_ObjectCategories
    """  # noqa: D301 - click reads the backspace
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs import data_fetch as job

    with display(tables.console(is_error=True), is_quiet=quiet or as_json) as show:
        known = job.fetch(name, source=source, replace=replace, progress=show.stage)
    if as_json:
        content = {"schema_version": 1, **known.to_json()}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    tables.out().print(tables.facts(facts(known)))


def facts(known: Known) -> dict[str, object]:
    """What is known of a named set, line by line."""
    named, stored = known.named, known.stored
    lines: dict[str, object] = {
        "data": f"{named.name}, {named.title[0].lower()}{named.title[1:]}",
        "whole set": f"{named.images:,} images, {named.classes} classes, {named.pixels} pixels",
        "licence": named.licence,
        "source": named.citation,
        "home": named.homepage,
    }
    if not named.has_own_words:
        lines["a part"] = f"{named.name}:CLASS,CLASS@TRAIN/VALIDATION/TEST, numbers {named.counts}"
    if stored is not None:
        origin = stored.record.origin
        checked = "as published" if origin.is_verified else "no published checksum compared"
        lines |= {
            "here": str(stored.folder),
            "holds": f"{stored.record.images:,} images, {stored.record.classes} classes",
            "from": f"{origin.place} ({checked})",
        }
    elif not known.is_here:
        lines["here"] = f"no; get it{_price(known)} with  convoscope data fetch {named.name}"
    return lines


def _price(known: Known) -> str:
    size = known.named.download_bytes
    return "" if size is None else f" ({_megabytes(size)})"


def _size(known: Known) -> str:
    if not known.named.is_fetched:
        return "-"
    size = known.named.download_bytes
    return "not stated" if size is None else _megabytes(size)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def _here(known: Known) -> str:
    if known.stored is None:
        return "yes" if known.is_here else "no"
    return "yes" if known.stored.record.images >= known.named.images else "in part"

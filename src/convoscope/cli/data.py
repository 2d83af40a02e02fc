"""``convoscope data``: look at images before training on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from convoscope.cli.reading import reading_options

if TYPE_CHECKING:
    from rich.table import Table

    from convoscope.data.audit import Audit
    from convoscope.data.shortcuts import Shortcut

_FILE = click.Path(path_type=Path)
_WRONG = 1
_GROUP_BY = click.option(
    "--group-by",
    metavar="COLUMN|PATTERN",
    help="What belongs together: a column of the table, 'folder', or a pattern such as "
    "'patient*_' in the images' paths.",
)
_SHORTCUTS_SHOWN = 5


@click.group("data")
def data() -> None:
    """Look at images before training on them: check, count, divide, preview.

    \b
    convoscope data check photos
    convoscope data info photos
    convoscope data split photos --out split.csv
    convoscope data preview photos --augment light
    """  # noqa: D301 - click reads the backspace


@data.command("check")
@click.argument("source", metavar="DATA")
@click.option("--split", type=_FILE, help="Check the split in this file, not the data's own.")
@click.option("--out", "-o", type=_FILE, default=Path("data-check.html"), show_default=True)
@click.option("--no-page", is_flag=True, help="Write no page with pictures.")
@_GROUP_BY
@reading_options
@click.option("--seed", "-s", default=0, show_default=True, help="Same seed, same result.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_context
def check(
    ctx: click.Context,
    /,
    source: str,
    split: Path | None,
    out: Path,
    no_page: bool,
    group_by: str | None,
    seed: int,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Look for what would make a network trained on DATA look better than it is.

    Unreadable files, pictures that are there twice, in two splits or with two labels, classes that
    are rare or missing, odd sizes, and shortcuts: a property such as the width or being gray that
    alone gives a class away.

    Exit code 0: nothing is wrong; 1: something is; 2: the data cannot be checked.
    """
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs import data_check as job
    from convoscope.report import data_page

    with display(tables.console(is_error=True), is_quiet=quiet or as_json) as show:
        checked = job.check(
            source, split=split, group_by=group_by, seed=seed, progress=show.stage, **reading
        )
        if not no_page:
            shown = data_page.shown_ids(checked.audit)
            data_page.write(
                out,
                checked.audit,
                pictures=job.small_pictures(checked, shown),
                described=job.described(checked, shown),
            )
    audit = checked.audit
    if as_json:
        click.echo(json.dumps(audit.to_json(), indent=2, ensure_ascii=False))
    else:
        _print_audit(audit)
        if not no_page:
            click.echo(f"page    {out}")
    ctx.exit(_WRONG if audit.wrong else 0)


@data.command("info")
@click.argument("source", metavar="DATA")
@click.option("--validation", default=0.1, show_default=True, metavar="PART")
@click.option("--test", default=0.2, show_default=True, metavar="PART")
@_GROUP_BY
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
    """Count the images of DATA per class, and show what training would divide them into."""
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs import data_split as job

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
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    console = tables.out()
    console.print(
        tables.facts(
            {
                "data": found.place,
                "images": _images(found.images, found.files),
                "width": _spread(found.width.least, found.width.median, found.width.largest),
                "height": _spread(found.height.least, found.height.median, found.height.largest),
                "modes": ", ".join(f"{mode} {count:,}" for mode, count in found.modes.items()),
                "gray": f"{found.gray:,}",
                "split": "given" if found.is_given_split else "none: training would divide so",
            }
        )
    )
    for head, counts in (found.planned or found.counts).items():
        console.print(_counts_table(head, counts))
    if found.problem is not None:
        click.echo(f"cannot be divided: {found.problem}")
    for note in found.notes:
        click.echo(f"note: {note}")


@data.command("split")
@click.argument("source", metavar="DATA")
@click.option("--out", "-o", type=_FILE, default=Path("split.csv"), show_default=True)
@click.option("--validation", default=0.1, show_default=True, metavar="PART")
@click.option("--test", default=0.2, show_default=True, metavar="PART")
@_GROUP_BY
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
        tables.out().print(_counts_table(head, counts))
    for note in splits.notes:
        click.echo(f"note: {note}")
    click.echo(f"split   {out}")


@data.command("preview")
@click.argument("source", metavar="DATA")
@click.option("--augment", default="none", show_default=True, help="Show what this makes of them.")
@click.option("--out", "-o", type=_FILE, default=Path("preview.png"), show_default=True)
@click.option("--columns", default=8, show_default=True, help="So many pictures in a row.")
@click.option("--size", type=int, help="Side of the network's input in pixels. [128]")
@click.option("--resize", type=click.Choice(["squash", "crop", "pad"]), default="squash")
@reading_options
@click.option("--seed", "-s", default=0, show_default=True, help="Same seed, same pictures.")
def preview(
    source: str,
    augment: str,
    out: Path,
    columns: int,
    size: int | None,
    resize: Literal["squash", "crop", "pad"],
    seed: int,
    **reading: Any,
) -> None:
    """Show a few pictures of each class of DATA, as a network sees them, in one PNG.

    With --augment each row is one picture: as it is, then as training would see it epoch by epoch.
    """
    from convoscope.jobs import data_preview as job

    path = job.preview(
        source,
        out,
        augmentation=augment,
        columns=columns,
        size=size,
        resize=resize,
        seed=seed,
        **reading,
    )
    click.echo(f"picture {path}")


def _print_audit(audit: Audit) -> None:
    from convoscope.cli import tables

    console = tables.out()
    for head, counts in audit.counts.items():
        console.print(_counts_table(head, counts))
    for head, shortcuts in audit.shortcuts.items():
        console.print(_shortcuts_table(head, shortcuts))
    for finding in audit.findings:
        tables.say(f"{finding.severity}: {finding.sentence}")
    for note in audit.notes:
        tables.say(f"note: {note}")
    looks = len(audit.findings) - len(audit.wrong)
    tables.say(
        f"{_images(audit.images, audit.files)} images: {len(audit.wrong)} wrong, {looks} to look at"
    )


def _counts_table(head: str, counts: Mapping[str, Mapping[str, int]]) -> Table:
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


def _shortcuts_table(head: str, shortcuts: tuple[Shortcut, ...]) -> Table:
    """The properties that tell a class best."""
    from convoscope.cli import tables

    table = tables.plain_table(
        f"best shortcuts to a {head}", "class", "right", "95% interval", "typical", "others", left=2
    )
    for shortcut in shortcuts[:_SHORTCUTS_SHOWN]:
        table.add_row(*_shortcut_row(shortcut))
    return table


def _shortcut_row(shortcut: Shortcut) -> tuple[str, ...]:
    from convoscope.cli import tables
    from convoscope.data.traits import TRAITS

    written = TRAITS[shortcut.trait].written
    return (
        shortcut.trait,
        shortcut.class_name,
        tables.number(shortcut.accuracy),
        tables.interval(shortcut.accuracy),
        written(shortcut.typical),
        written(shortcut.others),
    )


def _images(readable: int, files: int) -> str:
    return f"{readable:,}" if readable == files else f"{readable:,} readable of {files:,}"


def _spread(least: float, median: float, largest: float) -> str:
    if least == largest:
        return f"{least:,.0f} px"
    return f"{least:,.0f} to {largest:,.0f} px, median {median:,.0f}"

"""``convoscope data``: look at images before training on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from convoscope.cli.data_counts import counts_table, group_by_option, info, readable, split
from convoscope.cli.data_fetch import fetch, list_sets
from convoscope.cli.data_lines import lines
from convoscope.cli.reading import reading_options

if TYPE_CHECKING:
    from rich.table import Table

    from convoscope.data.audit import Audit
    from convoscope.data.shortcuts import Shortcut

_FILE = click.Path(path_type=Path)
_WRONG = 1
_SHORTCUTS_SHOWN = 5


@click.group("data")
def data() -> None:
    """Get images, and look at them before training on them: check, count, divide, preview.

    \b
    convoscope data list
    convoscope data fetch mnist
    convoscope data check photos
    convoscope data info photos
    convoscope data split photos --out split.csv
    convoscope data preview photos --augment light
    """  # noqa: D301 - click reads the backspace


for command in (list_sets, fetch, info, split, lines):
    data.add_command(command)


@data.command("check", short_help="Look for what makes a network look better than it is.")
@click.argument("source", metavar="DATA")
@click.option("--split", type=_FILE, help="Check the split in this file, not the data's own.")
@click.option("--out", "-o", type=_FILE, default=Path("data-check.html"), show_default=True)
@click.option("--no-page", is_flag=True, help="Write no page with pictures.")
@group_by_option
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


@data.command("preview", short_help="Show pictures of each class, augmented or not.")
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
        console.print(counts_table(head, counts))
    for head, shortcuts in audit.shortcuts.items():
        console.print(_shortcuts_table(head, shortcuts))
    for finding in audit.findings:
        tables.say(f"{finding.severity}: {finding.sentence}")
    for note in audit.notes:
        tables.say(f"note: {note}")
    looks = len(audit.findings) - len(audit.wrong)
    images = readable(audit.images, audit.files)
    tables.say(f"{images} images: {len(audit.wrong)} wrong, {looks} to look at")


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

"""``convoscope experiment``: a published experiment repeated, its figures beside the published."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


@click.command("experiment")
@click.argument("name")
@click.option("--data", metavar="DATA", help="The images, as 'convoscope train' takes them.")
@click.option("--epochs", "-e", type=int, help="At most so many, if not as published.")
@click.option("--patience", type=int, help="Stop after so many without a better validation loss.")
@click.option("--seeds", default=3, show_default=True, help="Trainings of each variant.")
@click.option("--jobs", default="auto", show_default=True, help="Trainings at a time.")
@click.option("--device", "-d", help="auto, cpu, cuda, cuda:1 or mps. [auto]")
@click.option("--out", "-o", type=_FILE, metavar="DIR", help="Folder of the run.")
@click.option("--resume", type=_FILE, metavar="RUN", help="Go on with one that was stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print the summary alone.")
@click.pass_context
def experiment(
    ctx: click.Context,
    name: str,
    data: str | None,
    epochs: int | None,
    patience: int | None,
    seeds: int,
    jobs: str,
    device: str | None,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Repeat the published experiment NAME on DATA; 'list' shows which there are.

    \b
    convoscope experiment list
    convoscope experiment row-4 --data caltech5
    convoscope experiment row-9d --data mnist --seeds 2
    """  # noqa: D301 - click reads the backspace
    if name == "list":
        _list()
        return
    from convoscope.cli import varying
    from convoscope.errors import SettingsError
    from convoscope.experiments.catalogue import experiment as find

    chosen = find(name)
    manner = varying.Manner(is_quiet=quiet, with_report=True, as_json=as_json)
    if resume is not None:
        ctx.exit(varying.go_on(resume, jobs=jobs, manner=manner))
    if data is None:
        raise SettingsError(
            f"experiment {name!r}: it needs its images, got none: name them with --data, "
            f"{chosen.data}"
        )
    asked = {"epochs": epochs, "patience": patience, "device": device, "out": out}
    given = {key: value for key, value in asked.items() if value is not None}
    said = varying.Said(sets=(), named=chosen.variations, is_one_at_a_time=False)
    more = {"seeds": seeds, "settings_file": None}
    ctx.exit(varying.start(said, data, None, given | more, jobs=jobs, manner=manner))


def _list() -> None:
    """A line per experiment."""
    from convoscope.cli import tables
    from convoscope.experiments.catalogue import EXPERIMENTS

    table = tables.plain_table("experiment", "what it does", "images", left=3)
    for name, one in EXPERIMENTS.items():
        table.add_row(name, one.summary, one.data)
    tables.out().print(table)

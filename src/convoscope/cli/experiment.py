"""``convoscope experiment``: a published experiment repeated, its figures beside the published."""

from __future__ import annotations

from pathlib import Path

import click

from convoscope.cli.train import given_settings
from convoscope.errors import SettingsError

_FILE = click.Path(path_type=Path)


@click.command("experiment")
@click.argument("name")
@click.option("--data", metavar="DATA", help="The images, as 'convoscope train' takes them.")
@click.option("--run", "of", type=_FILE, metavar="RUN", help="row-11: look into that run.")
@click.option("--model", "-m", metavar="NAME|FILE", help="row-11: else train that. [given-net]")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=_FILE,
    metavar="IMAGE|DIR",
    help="row-11: show that image; may be given again. [some of the run's own]",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="NAME",
    help="row-11: look into that layer; may be given again. [every layer]",
)
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
    of: Path | None,
    model: str | None,
    images: tuple[Path, ...],
    layers: tuple[str, ...],
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
    """Repeat the published experiment NAME on DATA, or of RUN; 'list' shows which there are.

    \b
    convoscope experiment list
    convoscope experiment row-4 --data caltech5
    convoscope experiment row-9d --data mnist --seeds 2
    convoscope experiment row-11 --data mnist --model own-net --epochs 20
    convoscope experiment row-11 --run runs/mnist-own-net-1 --image seven.png --layer conv2
    convoscope experiment row-11 --resume runs/mnist-own-net-2
    """  # noqa: D301 - click reads the backspace
    if name == "list":
        _list()
        return
    from convoscope.cli import looking_inside, varying
    from convoscope.experiments.catalogue import Look
    from convoscope.experiments.catalogue import experiment as find

    chosen = find(name)
    if isinstance(chosen, Look):
        asked = looking_inside.Asked(
            name=name,
            look=chosen,
            data=data,
            of=of,
            stopped=resume,
            training=given_settings({"model": model, "epochs": epochs, "patience": patience}),
            images=images,
            layers=layers,
            device=device or "auto",
            out=out,
        )
        ctx.exit(looking_inside.start(asked, is_quiet=quiet, as_json=as_json))
    if of is not None or model is not None or images or layers:
        raise _trains_its_own(name)
    manner = varying.Manner(is_quiet=quiet, with_report=True, as_json=as_json)
    if resume is not None:
        ctx.exit(varying.go_on(resume, jobs=jobs, manner=manner))
    if data is None:
        raise _needs_images(name, chosen.data)
    said = varying.Said(sets=(), named=chosen.variations, is_one_at_a_time=False)
    options = {"epochs": epochs, "patience": patience, "device": device, "out": out}
    given = given_settings(options) | {"seeds": seeds, "settings_file": None}
    ctx.exit(varying.start(said, data, None, given, jobs=jobs, manner=manner))


def _trains_its_own(name: str) -> SettingsError:
    return SettingsError(
        f"experiment {name!r}: it trains networks of its own and takes neither --run, --model, "
        "--image nor --layer, got one of them: leave it out, or say  convoscope experiment row-11"
    )


def _needs_images(name: str, advice: str) -> SettingsError:
    return SettingsError(
        f"experiment {name!r}: it needs its images, got none: name them with --data, {advice}"
    )


def _list() -> None:
    """A line per experiment."""
    from convoscope.cli import tables
    from convoscope.experiments.catalogue import EXPERIMENTS

    table = tables.plain_table("experiment", "what it does", "images", left=3)
    for name, one in EXPERIMENTS.items():
        table.add_row(name, one.summary, one.data)
    tables.out().print(table)

"""``convoscope evaluate``: test a trained run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convoscope.cli.reading import reading_options

if TYPE_CHECKING:
    from convoscope.network import Engine


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@click.option("--engine", type=click.Choice(["torch", "numpy"]), help="Compute on that engine.")
@click.option("--device", "-d", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option(
    "--skip-unreadable", is_flag=True, help="Leave out images of DATA that cannot be decoded."
)
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print every figure as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print the figures alone.")
def evaluate(
    run: Path,
    data: str | None,
    engine: Engine | None,
    device: str,
    skip_unreadable: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Test the trained RUN again and save what it says in the run.

    Without DATA on the run's own images, read again from their files. With DATA, a folder like
    those that train takes, on all images there; its classes are matched by name. How a table or an
    .npz file is read can be said as for train.

    \b
    convoscope evaluate runs/photos-small-1
    convoscope evaluate runs/photos-small-1 more-photos --json
    """  # noqa: D301 - click reads the backspace
    from convoscope.cli import tables
    from convoscope.cli.progress import display
    from convoscope.jobs import evaluate as job
    from convoscope.runs import Run

    with display(tables.console(is_error=True), is_quiet=quiet or as_json) as show:
        found = job.evaluate(
            run,
            data,
            engine=engine,
            device=device,
            skip_unreadable=skip_unreadable,
            progress=show.stage,
            **options,
        )
    if as_json:
        splits = {split: metrics.to_json() for split, metrics in found.items()}
        click.echo(json.dumps({"run": str(run), "splits": splits}, indent=2))
        return
    tables.out().print(tables.metrics_table(found.values()))
    for note in Run(run).record().every_note:
        tables.say(f"note: {note}")
    click.echo(f"saved in {run / 'predictions'}; the report does not change until you ask:")
    click.echo(f"convoscope report {run}")

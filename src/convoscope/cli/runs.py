"""``convoscope runs``: list, show and remove runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from convoscope.runs import Run, RunRecord

_FOLDER = click.Path(path_type=Path)


@click.group("runs")
def runs() -> None:
    """List, show and remove runs.

    \b
    convoscope runs list
    convoscope runs show runs/photos-small-1
    convoscope runs rm runs/photos-small-1 runs/photos-small-2
    """  # noqa: D301 - click reads the backspace


@runs.command("list")
@click.argument("folder", type=_FOLDER, default=Path("runs"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_runs(folder: Path, as_json: bool) -> None:
    """List the runs in FOLDER, without it those in 'runs'."""
    from convoscope.cli import tables
    from convoscope.runs import find_runs

    rows = [_row(run) for run in find_runs(folder)]
    if as_json:
        click.echo(json.dumps({"runs": rows}, indent=2, ensure_ascii=False))
        return
    if not rows:
        click.echo(f"no runs in {folder}: make one with  convoscope train DATA --model small")
        return
    tables.out().print(_table(rows))
    for row in rows:
        status, _, problem = row["status"].partition(": ")
        if problem:
            click.echo(f"{status}: {problem}")


@runs.command("show")
@click.argument("run", type=_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(run: Path, as_json: bool) -> None:
    """Show what RUN was asked, how it went and what came out."""
    from convoscope.cli import tables
    from convoscope.cli.several import show_parts
    from convoscope.metrics.summary import summarise
    from convoscope.runs import open_run
    from convoscope.runs.parts import CROSS_VALIDATION, SEEDS, read_parts

    opened = open_run(run)
    record = opened.record()
    metrics = [summarise(opened.predictions(split)) for split in opened.splits()]
    is_whole = record.kind in (CROSS_VALIDATION, SEEDS) and record.status == "finished"
    parts = read_parts(opened) if is_whole else None
    if as_json:
        splits = {split.split: split.to_json() for split in metrics}
        content = {"run": str(run), "record": record.to_json(), "splits": splits}
        content |= {} if parts is None else {"parts": parts.to_json()}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    tables.out().print(tables.facts(_facts(opened, record)))
    if parts is not None:
        show_parts(parts)
    elif metrics:
        tables.out().print(tables.metrics_table(metrics))
    for note in record.every_note:
        click.echo(f"note: {note}")


@runs.command("rm")
@click.argument("run", nargs=-1, required=True, type=_FOLDER)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def remove(run: tuple[Path, ...], yes: bool) -> None:
    """Delete each RUN's folder and all that is in it."""
    from convoscope.runs import Run, check_removable, remove_run

    named = [Run(path) for path in run]
    for each in named:
        check_removable(each)
    for each in named:
        if yes or click.confirm(f"delete {each.path} and all in it?"):
            remove_run(each)
            click.echo(f"deleted {each.path}")


_KEYS = (
    *("run", "status", "model", "data", "epochs", "test_accuracy", "test_low", "test_high"),
    *("started", "bytes"),
)


_UNFINISHED = ("killed", "interrupted", "failed")


def status_words(run: Run, status: str) -> str:
    """A status as one reads it; a process that was killed could not say so, but is not there."""
    from convoscope.runs.lock import holder

    return "killed" if status == "running" and holder(run.path) is None else status


def seconds_since(started: str) -> float:
    """Since that moment, which ``run.json`` says in ISO 8601; 0 for one that is to come."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds())


def age(seconds: float) -> str:
    """How long ago, in one unit: ``now``, ``5 min``, ``3 h``, ``12 days``."""
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return "now"


def size_text(count: int) -> str:
    """Bytes on disk, in one unit: ``950 B``, ``12 kB``, ``1.4 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 9.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line per run."""
    from convoscope.cli import tables
    from convoscope.metrics.intervals import Figure

    names = ("run", "status", "model", "data", "epochs", "test accuracy", "95% interval")
    table = tables.plain_table(*names, "age", "size", left=4)
    for row in rows:
        tested = Figure(row["test_accuracy"], row["test_low"], row["test_high"])
        table.add_row(
            tables.cell(row["run"]),
            row["status"].partition(": ")[0],
            *(tables.cell(row[key]) for key in ("model", "data", "epochs")),
            tables.number(tested),
            tables.interval(tested),
            tables.cell(row["started"] and age(seconds_since(row["started"]))),
            size_text(row["bytes"]),
        )
    return table


def _facts(run: Run, record: RunRecord) -> dict[str, object]:
    """What was asked, and how it went."""
    from convoscope.jobs.folder import goes_on
    from convoscope.jobs.request import quoted
    from convoscope.runs.convolution import CONVOLVE

    status = status_words(run, record.status)
    is_resumed = record.kind != CONVOLVE and status in _UNFINISHED
    kept = f"{record.epochs}, epoch {record.best_epoch} kept"
    return {
        "run": run.path,
        "kind": None if record.kind == "train" else record.kind,
        "runs": ", ".join(record.parts),
        "status": status,
        "go on": goes_on(record.kind, run.path) if is_resumed else None,
        "command": quoted(record.command),
        "started": record.started,
        "data": record.settings.get("data") or record.data.get("root") or record.data.get("name"),
        "epochs": None if record.parts or not record.epochs else kept,
        "report": run.report_file if run.report_file.exists() else None,
    }


def _network(run: Run, record: RunRecord) -> str | None:
    """What is trained: a ladder's backbones, or the network's name; another run's has its own."""
    from convoscope.runs.ladder import LADDER

    if record.kind == LADDER:
        return ", ".join(dict.fromkeys(part.split("/")[1] for part in record.parts))
    asked = record.settings.get("model") or record.settings.get("backbone")
    return asked or run.model().get("architecture_name")


def _parts(record: RunRecord) -> str:
    """``5 folds``, ``2 variants``: what several seeds were trained of counts once."""
    kinds = {part.rpartition("/")[0] if part.count("/") > 1 else part for part in record.parts}
    word = record.parts[0].partition("/")[0]
    return f"{len(kinds)} {word if len(kinds) > 1 else word.removesuffix('s')}"


def _row(run: Run) -> dict[str, Any]:
    """One run for the list; one that is not whole is listed too, and says what is wrong."""
    from convoscope.errors import ConvoscopeError
    from convoscope.runs.convolution import CONVOLVE
    from convoscope.runs.parts import tested_accuracy
    from convoscope.runs.store import size_on_disk

    row: dict[str, Any] = dict.fromkeys(_KEYS)
    row |= {"run": str(run.path), "bytes": size_on_disk(run)}
    try:
        record = run.record()
        row |= {"status": status_words(run, record.status), "started": record.started}
        row |= {"data": record.data.get("name")}
        if record.kind == CONVOLVE:
            return row | {"model": f"filter {record.settings.get('filter')}"}
        row |= {"model": _network(run, record), "epochs": record.epochs}
        if record.parts:
            row |= {"status": f"{row['status']}, {_parts(record)}", "epochs": None}
        accuracy = tested_accuracy(run)
        row |= {"test_accuracy": accuracy.value, "test_low": accuracy.low}
        row["test_high"] = accuracy.high
    except ConvoscopeError as error:
        row["status"] = f"not whole: {error}"
    return row

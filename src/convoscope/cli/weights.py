"""``convoscope weights``: list, fetch, import, check and remove pretrained weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from convoscope.jobs.weights import Row
    from convoscope.transfer.store import Stored

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_QUIET = click.option("--quiet", "-q", is_flag=True, help="Show no progress.")


@click.group("weights")
def weights() -> None:
    """Weights of pretrained backbones, kept once for all runs.

    \b
    convoscope weights list
    convoscope weights fetch vgg19
    convoscope weights import vgg19_weights_tf_dim_ordering_tf_kernels.h5 --as vgg19
    convoscope predict --backbone vgg19 photo.jpg
    """  # noqa: D301 - click reads the backspace


@weights.command("list")
@_JSON
def list_weights(as_json: bool) -> None:
    """List every backbone: what it is, what it is licensed under, and whether it is here.

    Any other network of timm's is a backbone too, as timm:NAME.
    """
    from convoscope.cli import tables
    from convoscope.jobs import weights as job
    from convoscope.transfer.store import weights_folder

    rows = job.listed()
    if as_json:
        _print_json({"folder": str(weights_folder()), "backbones": [r.to_json() for r in rows]})
        return
    tables.out().print(_table(rows))
    tables.say(f"weights are kept in {weights_folder()}; timm:NAME is any other network of timm's")


@weights.command("fetch")
@click.argument("name")
@_JSON
@_QUIET
def fetch(name: str, as_json: bool, quiet: bool) -> None:
    """Download the weights of the backbone NAME, unless they are here.

    A download that was cut is gone on from where it stopped. What arrives is checked against a
    SHA-256: the publisher's, or the one that the hub announced the first time.
    """
    from convoscope.cli import tables
    from convoscope.cli.downloading import downloading
    from convoscope.jobs import weights as job

    with downloading(tables.console(is_error=True), name, is_quiet=quiet or as_json) as progress:
        stored = job.fetch(name, progress=progress)
    _print(stored, as_json=as_json)


@weights.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--as", "as_name", required=True, metavar="NAME", help="The backbone that it is.")
@_JSON
def import_weights(path: Path, as_name: str, as_json: bool) -> None:
    """Take weights from the file or folder PATH, in place of any that are here.

    PyTorch's .pth, .safetensors, Keras' .h5 and .keras with or without top, .npz, and the folder of
    a TensorFlow.js layers model, one byte a weight included. Names and shapes must be those of the
    backbone. They are kept as float32, whatever they came as.
    """
    from convoscope.jobs import weights as job

    _print(job.take(path, as_name), as_json=as_json)


@weights.command("check")
@click.argument("name", nargs=-1)
@_JSON
def check(name: tuple[str, ...], as_json: bool) -> None:
    """Read every byte of the weights of each NAME, or of all, and compare with their hashes."""
    from convoscope.cli import tables
    from convoscope.jobs import weights as job

    found = job.check(name)
    if as_json:
        _print_json({"weights": [job.stored_to_json(stored) for stored in found]})
        return
    for stored in found:
        tables.say(f"{stored.name}: every byte is what it was, SHA-256 {stored.sha256}")
    if not found:
        tables.say("no weights are here: get some with  convoscope weights fetch NAME")


@weights.command("rm")
@click.argument("name", nargs=-1, required=True)
@_JSON
def remove(name: tuple[str, ...], as_json: bool) -> None:
    """Delete the weights of each NAME; runs that were made with them keep their own."""
    from convoscope.cli import tables
    from convoscope.cli.runs import size_text
    from convoscope.jobs import weights as job

    freed = job.remove(name)
    if as_json:
        _print_json({"removed": [{"name": key, "bytes": size} for key, size in freed.items()]})
        return
    for key, size in freed.items():
        tables.say(f"deleted {key}, {size_text(size)}" if size else f"{key} was not here")


def _print(stored: Stored, *, as_json: bool) -> None:
    from convoscope.cli import tables
    from convoscope.cli.runs import size_text
    from convoscope.jobs.weights import stored_to_json

    if as_json:
        _print_json(stored_to_json(stored))
        return
    top = f"{stored.classes:,} classes" if stored.classes else "without top"
    tables.out().print(
        tables.facts(
            {
                "weights": stored.name,
                "from": stored.origin.place,
                "licence": stored.licence,
                "input": "x".join(map(str, stored.input_shape)),
                "parameters": f"{stored.parameters:,}, {top}",
                "kept in": f"{stored.folder} ({size_text(stored.bytes)})",
            }
        )
    )


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def _table(rows: list[Row]) -> Table:
    """A line per backbone; licence and input are those of the weights that are here."""
    from convoscope.cli import tables
    from convoscope.cli.runs import size_text

    table = tables.plain_table(
        "backbone", "licence", "input", "parameters", "classes", "here", left=2
    )
    for row in rows:
        stored = row.stored
        table.add_row(
            row.name,
            row.licence if stored is None else stored.licence,
            "x".join(map(str, row.input_shape if stored is None else stored.input_shape)),
            f"{row.parameters:,}",
            f"{row.classes:,}" if row.classes else "-",
            "-" if stored is None else size_text(stored.bytes),
        )
    return table

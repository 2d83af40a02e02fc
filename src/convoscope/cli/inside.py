"""What every command that looks inside a network is told: whose network, on what, and where to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from convoscope.cli.grouped import grouped

if TYPE_CHECKING:
    from convoscope.runs.inside_files import InsideFolder

F = TypeVar("F", bound=Callable[..., Any])

OUTPUT = "Output"


def backbone_option(*, heading: str) -> Callable[[F], F]:
    """``--backbone``, in the place of a run."""
    return grouped(
        "--backbone",
        heading=heading,
        metavar="NAME",
        help="Look into a pretrained network, in RUN's place.",
    )


def output_options(*, folder: str) -> Callable[[F], F]:
    """``--engine``, ``--device``, ``--out`` (``folder`` is its help) and ``--json``."""
    options = (
        grouped(
            "--engine",
            heading=OUTPUT,
            type=click.Choice(["torch", "numpy"]),
            help="Compute on that.",
        ),
        grouped(
            "--device",
            "-d",
            heading=OUTPUT,
            default="auto",
            help="auto, cpu, cuda, cuda:1 or mps.",
        ),
        grouped(
            "--out",
            "-o",
            heading=OUTPUT,
            type=click.Path(path_type=Path),
            metavar="DIR",
            help=folder,
        ),
        grouped("--json", "as_json", heading=OUTPUT, is_flag=True, help="Print one JSON object."),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def print_json(folder: InsideFolder, page: Path) -> None:
    """A folder of what was found, as one object."""
    where = {"folder": str(folder.path), "page": str(page)}
    click.echo(json.dumps({**where, **folder.to_json()}, indent=2, ensure_ascii=False))


def print_places(folder: InsideFolder, page: Path) -> None:
    """Where what was found lies."""
    click.echo(f"folder  {folder.path}")
    click.echo(f"page    {page}")

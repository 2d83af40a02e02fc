"""What ``convoscope experiment row-11`` does: a run looked into, or one that is trained first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from convoscope.cli import tables, training
from convoscope.cli.failures import INTERRUPTED, MISTAKE
from convoscope.cli.following import say_interrupted
from convoscope.cli.progress import display
from convoscope.errors import SettingsError
from convoscope.experiments.catalogue import Look
from convoscope.experiments.row_11 import found_inside, look_inside
from convoscope.jobs.train import train


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says: the run ``of``, or ``data`` and how to train on them."""

    name: str
    look: Look
    data: str | None
    of: Path | None
    training: Mapping[str, Any]
    images: tuple[Path, ...]
    layers: tuple[str, ...]
    device: str
    out: Path | None


def start(asked: Asked, *, is_quiet: bool, as_json: bool) -> int:
    """Look into a run, or train one first; gives the exit code.

    Raises:
        SettingsError: if both or neither of a run and its images are named.
    """
    if (asked.of is None) == (asked.data is None):
        found = "neither" if asked.of is None else f"--run {asked.of} and --data {asked.data}"
        raise SettingsError(
            f"experiment {asked.name!r}: it looks into a run, or trains one on images, got "
            f"{found}: name one, with --run RUN, or with --data: {asked.look.data}"
        )
    run = asked.of
    if run is None:
        trained = _trained(asked, is_quiet=is_quiet or as_json)
        if trained is None:
            return INTERRUPTED
        run = trained
    with display(tables.console(is_error=True), is_quiet=is_quiet or as_json) as show:
        page = look_inside(
            run,
            asked.images,
            asked.layers,
            out=asked.out,
            device=asked.device,
            progress=show.stage,
        )
    return _said(run, page, as_json=as_json)


def _trained(asked: Asked, *, is_quiet: bool) -> Path | None:
    """A new run, ``None`` if it was stopped."""
    settings = {**asked.look.settings, **asked.training, "device": asked.device}
    run = training.watched(
        lambda **watching: train(asked.data, **watching, **settings),
        training.Manner(is_quiet=is_quiet, with_report=True),
    )
    if run.record().status == "interrupted":
        say_interrupted(run, "train")
        return None
    return run.path


def _said(run: Path, page: Path, *, as_json: bool) -> int:
    explained, favourites = found_inside(page)
    if as_json:
        content = {
            "run": str(run),
            "page": str(page),
            "images": explained.to_json(),
            "favourites": [folder.to_json() for folder in favourites],
        }
        tables.say(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        for group in favourites[0].facts["groups"]:
            tables.say(f"{group['title']}: {len(group['pictures'])} favourite inputs")
        tables.say(f"images  {len(explained)}")
        tables.say(f"run     {run}")
        tables.say(f"page    {page}")
    for problem in explained.problems:
        click.echo(f"convoscope: {problem}", err=True)
    return MISTAKE if explained.problems else 0

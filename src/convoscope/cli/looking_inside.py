"""What ``convoscope experiment row-11`` does: a run looked into, or one that is trained first."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from convoscope import disk
from convoscope.cli import tables, training
from convoscope.cli.failures import INTERRUPTED, MISTAKE
from convoscope.cli.progress import display
from convoscope.errors import SettingsError
from convoscope.experiments.catalogue import Look
from convoscope.experiments.row_11 import found_inside, look_inside
from convoscope.jobs.resume import resume
from convoscope.jobs.train import train
from convoscope.runs import Run, open_run
from convoscope.runs.lock import holder

UNFINISHED: Final = "experiment.json"
"""The file in a run that was trained for an experiment whose page is not written yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says: the run ``of``, ``data`` and how to train on them, or the run
    whose training was ``stopped``.
    """

    name: str
    look: Look
    data: str | None
    of: Path | None
    stopped: Path | None
    training: Mapping[str, Any]
    images: tuple[Path, ...]
    layers: tuple[str, ...]
    device: str
    out: Path | None

    def words(self) -> dict[str, Any]:
        """What the run is trained for, as plain values."""
        out = None if self.out is None else str(self.out)
        images = [str(image) for image in self.images]
        asked = {"name": self.name, "data": self.data, "training": dict(self.training)}
        return asked | {"images": images, "layers": list(self.layers), "out": out}


def start(asked: Asked, *, is_quiet: bool, as_json: bool) -> int:
    """Look into a run, or train one first; gives the exit code.

    Raises:
        SettingsError: if not one of a run, images and a stopped run is named.
    """
    _check_one(asked)
    asked = replace(asked, stopped=asked.stopped or _stopped(asked))
    run = asked.of
    if run is None:
        trained = _trained(asked, is_quiet=is_quiet or as_json)
        if trained is None:
            return INTERRUPTED
        run = trained
    with display(tables.console(is_error=True), is_quiet=is_quiet or as_json) as show:
        try:
            page = look_inside(
                run,
                asked.images,
                asked.layers,
                out=asked.out,
                device=asked.device,
                progress=show.stage,
            )
        except KeyboardInterrupt:
            _say_interrupted(run, asked)
            return INTERRUPTED
    (run / UNFINISHED).unlink(missing_ok=True)
    return _said(run, page, as_json=as_json)


def _check_one(asked: Asked) -> None:
    options = {"--run": asked.of, "--data": asked.data, "--resume": asked.stopped}
    named = [f"{option} {value}" for option, value in options.items() if value is not None]
    if len(named) != 1:
        raise SettingsError(
            f"experiment {asked.name!r}: it looks into a run, or trains one on images, got "
            f"{' and '.join(named) or 'neither'}: name one, with --run RUN, or with --data: "
            f"{asked.look.data}; or go on with one that was stopped, with --resume RUN"
        )


def _stopped(asked: Asked) -> Path | None:
    """The run that was trained for the same words, and stopped before it was looked into."""
    for file in sorted(Path("runs").glob(f"*/{UNFINISHED}")) if asked.data else ():
        run = file.parent
        words = json.loads(file.read_text(encoding="utf-8"))
        is_free = holder(run) is None and open_run(run).record().status != "diverged"
        if words == asked.words() and is_free:
            return run
    return None


def _trained(asked: Asked, *, is_quiet: bool) -> Path | None:
    """The run when its training is finished, ``None`` if it was stopped."""
    if asked.stopped is not None and open_run(asked.stopped).record().status == "finished":
        return asked.stopped
    manner = training.Manner(is_quiet=is_quiet, with_report=True)
    run = training.watched(lambda **watching: _work(asked, **watching), manner)
    if run.record().status == "interrupted":
        _say_interrupted(run.path, asked)
        return None
    return run.path


def _work(asked: Asked, started: Callable[[Run], None], **watching: Any) -> Run:
    if asked.stopped is not None:
        return resume(asked.stopped, started=started, **watching)

    def begun(run: Run) -> None:
        disk.write_text(run.path / UNFINISHED, json.dumps(asked.words()) + "\n")
        started(run)

    settings = {**asked.look.settings, **asked.training, "device": asked.device}
    return train(asked.data, started=begun, **watching, **settings)


def _say_interrupted(run: Path, asked: Asked) -> None:
    """Say where the run is, and which words train on and look into it as was asked."""
    words = ["convoscope", "experiment", asked.name, "--resume", str(run)]
    words += [f"--image={image}" for image in asked.images]
    words += [f"--layer={layer}" for layer in asked.layers]
    words += [] if asked.out is None else [f"--out={asked.out}"]
    tables.say(f"run     {run}")
    tables.say(f"interrupted; go on with  {shlex.join(words)}")


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

"""``convoscope train``: a folder of images in, a trained and tested run and its report out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from convoscope.cli.grouped import GroupedCommand
from convoscope.cli.train_options import train_options
from convoscope.errors import SettingsError
from convoscope.jobs.request import flag, option_value

_PAIRS: Mapping[str, str] = {
    "set": "KEY=VALUE, such as blocks=3",
    "head_weight": "HEAD=W, such as angle=2",
    "threshold": "HEAD=P, such as colour=0.7",
    "rate": "PREFIX=R, such as conv1=0",
}


@click.command("train", cls=GroupedCommand)
@click.argument("data", required=False)
@train_options
@click.pass_context
def train(
    ctx: click.Context,
    /,
    data: str | None,
    out: Path | None,
    resume: Path | None,
    settings: Path | None,
    folds: int | None,
    seeds: int | None,
    no_report: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Train a network on DATA, test it, and write a report.

    DATA is a folder with one folder of images per class, already split into train, val and test
    or not; a table of paths and labels (.csv, .tsv, .parquet), an .npz file, idx files, an archive
    of one of these; or 'digits', a small set that is always there.

    \b
    convoscope train photos --model small
    convoscope train photos -m small --input 96 --augment flip --epochs 100
    convoscope train photos --backbone vgg19
    convoscope train photos --backbone vgg19 --head max-512 --epochs 25
    convoscope train digits -m lenet-5 --input 28 --optimiser sgd -l 0.05 --momentum 0.9
    convoscope train photos -m flexible --set blocks=3 --set filters=32
    convoscope train photos -m my-net.yaml --settings good.yaml --seed 7
    convoscope train birds.csv -m small --label-column species --label-column sex
    convoscope train photos -m small --folds 5 --group-by 'patient*_'
    convoscope train photos -m small --seeds 5
    convoscope train --resume runs/photos-small-1

    Ctrl-C stops cleanly: the best epoch so far is kept, tested and reported.
    """  # noqa: D301 - click reads the backspace
    given = given_settings(asked)
    if resume is not None:
        fixed = {"DATA": data, "--out": out, "--settings": settings}
        refuse_beside_resume({**fixed, "--folds": folds, "--seeds": seeds}, given)
    from convoscope.cli import training

    show = training.Manner(is_quiet=quiet, with_report=not no_report, as_json=as_json)
    if resume is not None:
        ctx.exit(training.go_on(resume, show))
    several = {"folds": folds, "seeds": seeds}
    given |= {name: count for name, count in several.items() if count is not None}
    ctx.exit(training.start(data, given, settings_file=settings, out=out, manner=show))


def given_settings(asked: dict[str, Any]) -> dict[str, Any]:
    """The settings that stand on the command line; the others keep their file's or default value.

    Raises:
        SettingsError: if ``--set`` and its like are not followed by ``KEY=VALUE``, or a key is
            there twice.
    """
    given = {name: value for name, value in asked.items() if value not in (None, ())}
    for name in _PAIRS & given.keys():
        given[name] = _pairs(name, given[name])
    if "set" in given:
        options = given["set"].items()
        given["set"] = {key.replace("-", "_"): option_value(text) for key, text in options}
    return given


def refuse_beside_resume(fixed: Mapping[str, object], given: Mapping[str, Any]) -> None:
    """A run is gone on with as it began; nothing about it can be said anew.

    Raises:
        SettingsError: names what was said.
    """
    said = [name for name, value in fixed.items() if value is not None]
    said += [flag(name) for name in given]
    if said:
        raise SettingsError(
            f"--resume: a run goes on with its own settings, got {', '.join(said)} too: leave that "
            "out, or start a new run with --from"
        )


def _pairs(setting: str, texts: Iterable[str]) -> dict[str, str]:
    """The keys and values of an option that may be given again."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.rpartition("=")
        if not key or not sign:
            raise SettingsError(
                f"{flag(setting)}: must be followed by {_PAIRS[setting]}, got {text!r}: write it "
                "like that"
            )
        if key in pairs:
            raise SettingsError(
                f"{flag(setting)}: each name must be there once, {key!r} is there twice: keep one"
            )
        pairs[key] = value
    return pairs

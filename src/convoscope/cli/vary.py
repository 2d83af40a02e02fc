"""``convoscope vary``: one thing changed at a time, trained side by side, compared honestly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from convoscope.cli.grouped import GroupedCommand, grouped
from convoscope.cli.train import given_settings, refuse_beside_resume
from convoscope.cli.train_options import train_options

F = TypeVar("F", bound=Callable[..., Any])

_OTHERS = ("set", "folds", "from_run")
"""Options of ``train`` that mean nothing here, or something else."""

_VARIED = (
    grouped(
        "--set",
        "sets",
        heading="Variations",
        multiple=True,
        metavar="ADDRESS=V,V",
        help="What is varied, and its values: layers.conv1.kernel_size=3,5 or 'layers.every "
        "conv2d.filters=16,32', model.options.blocks=2,3, training.schedule=none,cosine. A single "
        "value holds for all. May be given again.",
    ),
    grouped(
        "--named",
        heading="Variations",
        metavar="FILE|NAME",
        help="Read variations from a YAML file, or take one that comes along, such as row-9d.",
    ),
    grouped(
        "--one-at-a-time",
        heading="Variations",
        is_flag=True,
        help="Change one thing at a time instead of every value with every other one.",
    ),
    grouped(
        "--jobs",
        heading="Variations",
        default="auto",
        metavar="N",
        help="Trainings at a time, auto: as many as there are cores and memory for. [auto]",
    ),
    grouped(
        "--show-test",
        heading="Variations",
        type=click.Choice(["chosen", "all"]),
        default="chosen",
        help="Show the test figures of the variant that validation chose, or of all. [chosen]",
    ),
)


def vary_options(function: F) -> F:
    """The options of variations, then those of ``convoscope train`` that mean the same here."""

    @train_options
    def train() -> None: ...

    shared = [option for option in _params(train) if option.name not in _OTHERS]
    for option in (*_VARIED, *map(_given, reversed(shared)))[::-1]:
        function = option(function)
    return function


def _params(function: Callable[..., Any]) -> list[click.Option]:
    """The options that decorators have given a function, the last one first."""
    params: list[click.Option] = function.__click_params__  # type: ignore[attr-defined]
    return params


def _given(option: click.Option) -> Callable[[F], F]:
    def add(function: F) -> F:
        function.__dict__.setdefault("__click_params__", []).append(option)
        return function

    return add


@click.command("vary", cls=GroupedCommand)
@click.argument("data", required=False)
@vary_options
@click.pass_context
def vary(
    ctx: click.Context,
    /,
    data: str | None,
    model: str | None,
    sets: tuple[str, ...],
    named: str | None,
    one_at_a_time: bool,
    jobs: str,
    show_test: str,
    out: Path | None,
    resume: Path | None,
    settings: Path | None,
    seeds: int | None,
    no_report: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Train variants of a network on DATA and say what each change is worth.

    All variants learn from the same split with the same seeds, several of them side by side. Those
    that cannot be are refused before anything trains. One page compares them: accuracy and loss
    with intervals over other images and other seeds, curves, over-fitting, and cost. Validation
    images decide; the test images are shown for the chosen variant alone.

    \b
    convoscope vary mnist -m given-net --set layers.conv1.kernel_size=2,3,5,7
    convoscope vary photos -m small --set augment=none,flip,light --set learning-rate=0.001,0.01
    convoscope vary photos --named my-variations.yaml --seeds 5 --epochs 30
    convoscope vary mnist --named row-9d
    convoscope vary --resume runs/mnist-given-net-varied-1
    """  # noqa: D301 - click reads the backspace
    given = given_settings(asked)
    if resume is not None:
        fixed = {"DATA": data, "--model": model, "--out": out, "--settings": settings}
        others = {"--set": sets or None, "--named": named, "--seeds": seeds}
        refuse_beside_resume({**fixed, **others}, given)
    from convoscope.cli import varying

    show = varying.Manner(
        is_quiet=quiet, with_report=not no_report, as_json=as_json, shows_all=show_test == "all"
    )
    if resume is not None:
        ctx.exit(varying.go_on(resume, jobs=jobs, manner=show))
    said = varying.Said(sets=sets, named=named, is_one_at_a_time=one_at_a_time)
    given |= {} if seeds is None else {"seeds": seeds}
    files = {"settings_file": settings, "out": out}
    ctx.exit(varying.start(said, data, model, given | files, jobs=jobs, manner=show))

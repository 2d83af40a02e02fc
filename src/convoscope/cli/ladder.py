"""``convoscope ladder``: strategies of fine-tuning compared, and how much data they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from convoscope.cli.grouped import GroupedCommand, grouped
from convoscope.cli.train import given_settings, refuse_beside_resume
from convoscope.cli.train_options import train_options

F = TypeVar("F", bound=Callable[..., Any])

_OTHERS = ("backbone", "tune", "folds", "seeds", "from_run", "resume", "model", "threshold")
"""Options of ``train`` that mean nothing here, or something else."""

_OWN = (
    grouped(
        "--backbone",
        heading="Ladder",
        metavar="NAME,NAME",
        help="Pretrained backbones to start from, such as vgg19,squeezenet1_0; 'convoscope weights "
        "list' shows them.",
    ),
    grouped(
        "--from",
        "from_run",
        heading="Ladder",
        multiple=True,
        metavar="RUN",
        help="Start from that run's network too, or instead of backbones; may be given again.",
    ),
    grouped(
        "--strategies",
        heading="Ladder",
        metavar="S,S",
        help="What is tried on each: svm, last, last:K, last:Kblocks, layerwise, freeze-then-tune, "
        "all. [svm,last,last:3,layerwise,freeze-then-tune,all; with --fractions last,last:3]",
    ),
    grouped(
        "--seeds",
        heading="Ladder",
        type=int,
        metavar="N",
        help="Train each N times, with seed, seed + 1, ... [3]",
    ),
    grouped(
        "--budget",
        heading="Ladder",
        metavar="TIME",
        help="Skip what would not fit into so much time, such as 30m or 1h30m.",
    ),
    grouped(
        "--climb-all",
        heading="Ladder",
        is_flag=True,
        help="Climb on even where nothing more can be shown to be gained.",
    ),
    grouped(
        "--fractions",
        heading="How much data is needed",
        metavar="F,F",
        help="Learn from growing parts of the training images instead, such as 0.1,0.25,0.5,1.",
    ),
    grouped(
        "--model",
        "-m",
        heading="How much data is needed",
        metavar="NAME|FILE",
        help="The network that is trained from scratch beside the backbones. [small]",
    ),
    grouped(
        "--resume",
        heading="Run",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Climb on, from wherever it was stopped; --budget gives it more time.",
    ),
)


def ladder_options(function: F) -> F:
    """The options of ladders, then those of ``convoscope train`` that mean the same here."""

    @train_options
    def train() -> None: ...

    options: list[click.Option] = train.__click_params__  # type: ignore[attr-defined]
    shared = [option for option in options if option.name not in _OTHERS]
    for option in (*_OWN, *map(_given, reversed(shared)))[::-1]:
        function = option(function)
    return function


def _given(option: click.Option) -> Callable[[F], F]:
    def add(function: F) -> F:
        function.__dict__.setdefault("__click_params__", []).append(option)
        return function

    return add


@click.command("ladder", cls=GroupedCommand)
@click.argument("data", required=False)
@ladder_options
@click.pass_context
def ladder(
    ctx: click.Context,
    /,
    data: str | None,
    backbone: str | None,
    from_run: tuple[str, ...],
    strategies: str | None,
    seeds: int | None,
    budget: str | None,
    climb_all: bool,
    fractions: str | None,
    model: str | None,
    resume: Path | None,
    out: Path | None,
    settings: Path | None,
    no_report: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Compare strategies of fine-tuning on DATA, cheapest first, and say which to take.

    All learn from one split and share decoded images and features. Validation images decide which
    steps are more than noise; test images are shown and decide nothing. Climbing stops where
    nothing more can be shown to be gained, or the budget is spent.

    With --fractions: how much data is needed, from scratch, frozen and fine-tuned.

    \b
    convoscope ladder photos --backbone vgg19
    convoscope ladder photos --backbone vgg19,squeezenet1_0 --strategies svm,last,last:2
    convoscope ladder photos --backbone mobilenet_v2 --budget 30m --seeds 1
    convoscope ladder photos --from runs/birds-small-1 --backbone squeezenet1_0
    convoscope ladder --resume runs/photos-vgg19-ladder-1 --budget 1h
    convoscope ladder photos --backbone squeezenet1_0 --fractions 0.1,0.25,0.5,1
    """  # noqa: D301 - click reads the backspace
    given = given_settings(asked)
    if resume is not None:
        fixed = {"DATA": data, "--backbone": backbone, "--strategies": strategies, "--out": out}
        others = {"--fractions": fractions, "--model": model, "--settings": settings}
        refuse_beside_resume(
            {**fixed, **others, "--seeds": seeds, "--from": from_run or None}, given
        )
    from convoscope.cli import climbing

    manner = climbing.Manner(is_quiet=quiet, with_report=not no_report, as_json=as_json)
    if resume is not None:
        ctx.exit(climbing.go_on(resume, budget=budget, climbs_all=climb_all, manner=manner))
    said = climbing.Said(
        backbone=backbone,
        from_run=from_run,
        strategies=strategies,
        seeds=3 if seeds is None else seeds,
        budget=budget,
        climbs_all=climb_all,
        fractions=fractions,
        model=model,
    )
    files = {"settings_file": settings, "out": out}
    ctx.exit(climbing.start(said, data, given | files, manner=manner))

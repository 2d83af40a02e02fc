"""The trainings of variations: which are left, each as a task, and all of them carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convoscope.jobs.below import marking, record_failure, status_of, task_below
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.settings import absolute
from convoscope.jobs.side_by_side import Ended, News, Task, side_by_side
from convoscope.jobs.vary_resolve import Resolved
from convoscope.jobs.vary_room import Room
from convoscope.runs import Run
from convoscope.runs.variations import Plan, PlannedVariant

_ENDED = ("finished", "diverged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is about to be trained: ``seconds`` are a guess, ``None`` where none can be made.

    ``costs`` are how long each training takes against the others, by its name.
    """

    run: Run
    plan: Plan
    costs: Mapping[str, float]
    variants: int
    room: Room
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who is told what happens, and who may stop it."""

    begun: Callable[[Begun], None] = lambda begun: None
    news: Callable[[News], None] = lambda news: None
    progress: Progress = unwatched
    should_stop: Callable[[], bool] = lambda: False


UNWATCHED = Watching()


def carry_out(
    run: Run, plan: Plan, good: Sequence[Resolved], chosen: Room, watching: Watching
) -> Run:
    """Train what is not trained yet.

    A training that fails is recorded with its sentence, and the others go on.
    """
    run.update_record(status="running", notes=())
    failures: dict[str, str] = {}

    def hear(news: News) -> None:
        if isinstance(news, Ended) and news.reason is not None:
            failures[news.task.name] = news.reason
            record_failure(run, news)
        watching.news(news)

    with marking(run):
        side_by_side(
            list(_tasks(run, plan, good)),
            jobs=chosen.jobs,
            threads=chosen.threads,
            tell=hear,
            should_stop=watching.should_stop,
        )
        begun = [Run(run.path / name) for name in run.record().parts if status_of(run, name)]
        is_whole = not [name for name in unfinished(run, plan) if name not in failures]
        run.update_record(
            status="finished" if is_whole else "interrupted",
            seconds=sum(part.record().seconds for part in begun),
            notes=tuple(f"{name}: {reason}" for name, reason in sorted(failures.items())),
        )
    return run


def unfinished(run: Run, plan: Plan) -> list[str]:
    """The trainings that are not begun, or were stopped, or failed; not those that diverged."""
    names = [
        part_name(variant, seed)
        for variant in plan.variants
        if variant.refusal is None
        for seed in plan.seeds
    ]
    return [name for name in names if status_of(run, name) not in _ENDED]


def part_name(variant: PlannedVariant, seed: int) -> str:
    """The folder of a training below the run."""
    return f"variants/{variant.name}/{seed}"


def model_file(run: Run, variant: PlannedVariant) -> Path:
    """Where the architecture of a variant stands whose layers are not its model's."""
    return (run.path / "models" / f"{variant.name}.yaml").absolute()


def _tasks(run: Run, plan: Plan, good: Sequence[Resolved]) -> Iterator[Task]:
    """What is to be done: every variant with the first seed, then with the next one."""
    left = set(unfinished(run, plan))
    for seed in plan.seeds:
        for one in good:
            name = part_name(one.planned, seed)
            if name not in left:
                continue
            yield task_below(run, name, _settings(run, one, seed))


def _settings(run: Run, one: Resolved, seed: int) -> Mapping[str, Any]:
    """What the training of a variant with a seed is asked."""
    asked = replace(one.request, seed=seed, split=str(run.split_file))
    if one.is_changed:
        model = str(model_file(run, one.planned))
        asked = replace(asked, model=model, set={}, input=None)
    return absolute(asked).to_json()

"""Variations of one training: the same data, split and seeds, one thing or several changed.

Every variant is checked by arithmetic before anything trains. Each training is a run of its own in
a process of its own, several at a time; a run of variations that was killed goes on with what is
not finished. A training that fails is recorded with its sentence, and the others go on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convoscope import disk
from convoscope.architecture.files import to_yaml
from convoscope.data.cache import Decoded, decode
from convoscope.data.splits import write_splits
from convoscope.engines.devices import device_kind
from convoscope.errors import ConvoscopeError, RunError, SettingsError, StorageError
from convoscope.jobs import environment
from convoscope.jobs.folder import claim
from convoscope.jobs.prepare import Prepared, prepare, prepare_again
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.settings import absolute, asked_request, gathered
from convoscope.jobs.side_by_side import Ended, News, Task, side_by_side
from convoscope.jobs.source import asked_dataset
from convoscope.jobs.train import data_facts, model_facts
from convoscope.jobs.vary_address import held_settings
from convoscope.jobs.vary_estimate import estimated_seconds
from convoscope.jobs.vary_resolve import Resolved, resolve_each, resolved, with_bases
from convoscope.jobs.vary_room import Room, room
from convoscope.jobs.vary_space import Space, merged, variants
from convoscope.runs import Run, RunRecord, open_run
from convoscope.runs.lock import holding
from convoscope.runs.record import Status
from convoscope.runs.variations import VARIATIONS, Plan, PlannedVariant, read_plan, write_plan

_ENDED = ("finished", "diverged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is about to be trained: ``seconds`` are a guess, ``None`` where none can be made."""

    run: Run
    plan: Plan
    trainings: int
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


def vary(
    space: Space,
    data: str | Path | None = None,
    *,
    model: str | Path | None = None,
    settings_file: str | Path | None = None,
    seeds: int = 3,
    jobs: str | int = "auto",
    out: str | Path | None = None,
    words: Sequence[str] = (),
    watching: Watching = Watching(),
    **settings: Any,
) -> Run:
    """Train every variant of ``space`` with ``seeds`` seeds; gives back the run of all of them.

    ``settings`` are those of :class:`~convoscope.jobs.request.TrainRequest`, for all variants.
    ``words`` are those of the command line that say the space, for the run's record.

    Raises:
        SettingsError: if nothing is varied, no variant is possible, or nothing would be validated.
        UnknownNameError: if an address names nothing; names the nearest.
        ConvoscopeError: for anything else that one sentence explains.
    """
    if seeds < 1:
        raise SettingsError(f"seeds must be at least 1, got {seeds}: 3 show the luck of training")
    held, fixed = held_settings(space.fixed)
    given = {**space.settings, **settings, **held}
    asked = given.pop("model", model or space.model)
    base = gathered(data, asked, settings_file, given)
    dataset = asked_dataset(base)
    factors = with_bases(space, base, dataset)
    planned = tuple(
        replace(variant, changes=merged(fixed, variant.changes))
        for variant in variants(factors, space.combine)
    )
    good, refused = resolve_each(planned, base, dataset)
    prepared = prepare(good[0].request, progress=watching.progress)
    _check_validated(prepared)
    rest = sorted({one.preprocessing for one in good[1:]} - {good[0].preprocessing}, key=repr)
    for preprocessing in rest:
        decode(dataset, preprocessing=preprocessing, skip_unreadable=base.skip_unreadable)
    trainings = len(good) * seeds
    device = device_kind(base.engine, base.device)
    chosen = room(jobs, good, trainings=trainings, device=device)
    plan = Plan(
        factors={f.name: tuple(level.name for level in f.levels) for f in factors},
        variants=(*(one.planned for one in good), *refused),
        seeds=tuple(range(base.seed, base.seed + seeds)),
        threads=chosen.threads,
    )
    run = claim(out, data=base.data, model=f"{_stem(base)}-varied")
    with holding(run.path):
        _begin(run, plan, good, prepared, base, words=(*words, "--seeds", str(seeds)), out=out)
        seconds = None
        if device == "cpu":
            counts = len(prepared.splits.indices["train"])
            seconds = estimated_seconds(good, images=counts, seeds=seeds, room=chosen)
        watching.begun(
            Begun(
                run=run,
                trainings=trainings,
                variants=len(good),
                plan=plan,
                room=chosen,
                seconds=seconds,
            )
        )
        return _carry_out(run, plan, good, chosen, watching)


def go_on(run: Run, watching: Watching, *, jobs: str | int = "auto") -> Run:
    """Go on with variations that were stopped: unfinished trainings first, then those not begun.

    Raises:
        RunError: if nothing is left to do, or the images are no longer the same.
    """
    with holding(run.path):
        plan, record = read_plan(run), run.record()
        if not _unfinished(run, plan):
            raise RunError(
                f"{run.path}: only unfinished variations can go on, all of these are trained: "
                "vary again with --out elsewhere"
            )
        base = asked_request(run.path, record.settings)
        prepared = prepare_again(run, base, progress=watching.progress)
        good = _again(run, plan, base, prepared)
        device = device_kind(base.engine, base.device)
        # The threads decide the bytes, so they stay; how many run at once does not.
        asked = room(jobs, good, trainings=len(_unfinished(run, plan)), device=device)
        chosen = replace(asked, threads=plan.threads)
        left = len(_unfinished(run, plan))
        watching.begun(
            Begun(
                run=run,
                trainings=left,
                variants=len(good),
                plan=plan,
                room=chosen,
                seconds=None,
            )
        )
        return _carry_out(run, plan, good, chosen, watching)


def resume(path: str | Path, watching: Watching = Watching(), *, jobs: str | int = "auto") -> Run:
    """:func:`go_on` with the variations in that folder.

    Raises:
        RunError: if the folder holds no variations, or nothing is left to do.
    """
    run = open_run(path)
    kind = run.record().kind
    if kind != VARIATIONS:
        raise RunError(
            f"{path}: vary --resume goes on with variations, this run is one of {kind!r}: go on "
            f"with it by  convoscope train --resume {path}"
        )
    return go_on(run, watching, jobs=jobs)


def part_name(variant: PlannedVariant, seed: int) -> str:
    """The folder of a training below the run."""
    return f"variants/{variant.name}/{seed}"


def _begin(
    run: Run,
    plan: Plan,
    good: Sequence[Resolved],
    prepared: Prepared,
    base: TrainRequest,
    *,
    words: tuple[str, ...],
    out: str | Path | None,
) -> None:
    """Write what is known before training; ``run.json`` last, so that it can be gone on with."""
    write_splits(run.split_file, prepared.decoded, prepared.splits)
    run.write_architecture(to_yaml(good[0].architecture), model_facts(prepared))
    for one in good:
        if one.is_changed:
            disk.write_text(_model_file(run, one.planned), to_yaml(one.architecture))
    write_plan(run, plan)
    where = ("--out", str(out)) if out is not None else ()
    _, _, *rest = base.command()
    run.write_record(
        RunRecord(
            kind=VARIATIONS,
            settings=absolute(base).to_json(),
            command=("convoscope", "vary", *rest, *words, *where),
            seed=base.seed,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            data=data_facts(prepared),
            versions=environment.versions(),
            machine=environment.machine() | {"threads": str(plan.threads)},
            parts=tuple(part_name(one.planned, seed) for seed in plan.seeds for one in good),
        )
    )


def _carry_out(
    run: Run, plan: Plan, good: Sequence[Resolved], chosen: Room, watching: Watching
) -> Run:
    """Train what is not trained yet."""
    run.update_record(status="running", notes=())
    failures: dict[str, str] = {}

    def hear(news: News) -> None:
        if isinstance(news, Ended) and news.reason is not None:
            failures[news.task.name] = news.reason
            _record_failure(run, news)
        watching.news(news)

    with _marking(run):
        side_by_side(
            list(_tasks(run, plan, good)),
            jobs=chosen.jobs,
            threads=chosen.threads,
            tell=hear,
            should_stop=watching.should_stop,
        )
        begun = [Run(run.path / name) for name in run.record().parts if _has_record(run, name)]
        is_whole = not [name for name in _unfinished(run, plan) if name not in failures]
        run.update_record(
            status="finished" if is_whole else "interrupted",
            seconds=sum(part.record().seconds for part in begun),
            notes=tuple(f"{name}: {reason}" for name, reason in sorted(failures.items())),
        )
    return run


def _tasks(run: Run, plan: Plan, good: Sequence[Resolved]) -> Iterator[Task]:
    """What is to be done: every variant with the first seed, then with the next one."""
    left = set(_unfinished(run, plan))
    for seed in plan.seeds:
        for one in good:
            name = part_name(one.planned, seed)
            if name not in left:
                continue
            path = run.path / name
            if _has_record(run, name):
                yield Task(name=name, out=path, settings=None)
                continue
            if path.exists():  # killed before there was anything to go on with
                shutil.rmtree(path)
            yield Task(name=name, out=path, settings=_settings(run, one, seed))


def _settings(run: Run, one: Resolved, seed: int) -> Mapping[str, Any]:
    """What the training of a variant with a seed is asked."""
    asked = replace(one.request, seed=seed, split=str(run.split_file))
    if one.is_changed:
        model = str(_model_file(run, one.planned))
        asked = replace(asked, model=model, set={}, input=None)
    return absolute(asked).to_json()


def _again(run: Run, plan: Plan, base: TrainRequest, prepared: Prepared) -> tuple[Resolved, ...]:
    """The variants as they were resolved when the run began."""
    decoded: Decoded = prepared.decoded
    return tuple(
        resolved(variant, base, decoded.dataset)
        for variant in plan.variants
        if variant.refusal is None
    )


def _unfinished(run: Run, plan: Plan) -> list[str]:
    names = [
        part_name(variant, seed)
        for variant in plan.variants
        if variant.refusal is None
        for seed in plan.seeds
    ]
    return [name for name in names if _status(run, name) not in _ENDED]


def _status(run: Run, name: str) -> Status | None:
    return Run(run.path / name).record().status if _has_record(run, name) else None


def _has_record(run: Run, name: str) -> bool:
    return (run.path / name / "run.json").exists()


def _record_failure(run: Run, news: Ended) -> None:
    """A process that died could not say so in its run."""
    if _status(run, news.task.name) == "running":
        with suppress(RunError, StorageError):
            part = Run(run.path / news.task.name)
            part.update_record(status="failed", notes=(str(news.reason),))


def _stem(base: TrainRequest) -> str:
    """What the run's folder is called after."""
    return Path(base.model or base.backbone or "network").stem


def _model_file(run: Run, variant: PlannedVariant) -> Path:
    return (run.path / "models" / f"{variant.name}.yaml").absolute()


def _check_validated(prepared: Prepared) -> None:
    if not len(prepared.splits.indices["validation"]):
        raise SettingsError(
            "variants are compared, and one of them chosen, on validation images, this split has "
            "none: give a --validation above 0"
        )


@contextmanager
def _marking(run: Run) -> Iterator[None]:
    """Leave a trace of why the run ended, as far as the disk still lets us."""
    try:
        yield
    except (ConvoscopeError, KeyboardInterrupt) as error:
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(RunError, StorageError):
            run.update_record(status=status, notes=(str(error),) if str(error) else ())
        raise

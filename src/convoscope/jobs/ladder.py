"""The strategies of fine-tuning on one split, cheapest first, as far as they are worth their time.

Decoded images and features of frozen layers are shared through the cache. Before each rung stands
an estimate of its time. Climbing stops where nothing more can be shown to be gained, unless it is
told to go on. A rung that fails is recorded with its sentence, and the others go on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convoscope.architecture.files import to_yaml
from convoscope.data.splits import write_splits
from convoscope.data.workers import core_count
from convoscope.errors import RunError, SettingsError
from convoscope.jobs import environment
from convoscope.jobs.below import marking
from convoscope.jobs.folder import claim
from convoscope.jobs.ladder_plan import Asked, check_asked, estimated, planned
from convoscope.jobs.ladder_trainings import (
    UNWATCHED,
    Clock,
    Watching,
    about,
    attempted,
    budget_seconds,
)
from convoscope.jobs.ladder_worth import not_worth_it, part_name, seconds_of
from convoscope.jobs.prepare import Prepared, prepare
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.seen import judged_unseen
from convoscope.jobs.settings import absolute, asked_out, asked_request
from convoscope.jobs.train import data_facts, model_facts
from convoscope.runs import Run, RunRecord, open_run
from convoscope.runs.ladder import (
    LADDER,
    Attempt,
    Plan,
    PlannedRung,
    read_attempts,
    read_plan,
    write_attempts,
    write_plan,
)
from convoscope.runs.lock import holding


def ladder(
    asked: Asked,
    data: str | Path | None = None,
    *,
    settings_file: str | Path | None = None,
    out: str | Path | None = None,
    watching: Watching = UNWATCHED,
    **settings: Any,
) -> Run:
    """Climb the ladder that is asked for on ``data``; gives back the run of all its trainings.

    ``settings`` are those of :class:`~convoscope.jobs.request.TrainRequest`, for all rungs.

    Raises:
        SettingsError: if no rung is possible, or nothing would be validated.
        UnknownNameError: if there is no such backbone or strategy; names the nearest.
        LeakError: if a run to start from has learnt from what it would be judged on.
        WeightsError: if the weights of a backbone are not at hand; says how to get them.
        ConvoscopeError: for anything else that one sentence explains.
    """
    budget = check_asked(asked)
    clock = Clock(budget)
    out = asked_out(out, settings_file)
    found = planned(asked, data, settings_file, settings)
    first = next(request for _, request in found if request is not None)
    # Everything learns in it, so that nothing is computed here but the split.
    whole = prepare(replace(first, tune="all", head=None), progress=watching.progress)
    check_validated(whole)
    for _, request in found:
        if request is not None:
            judged_unseen(whole.splits, whole.decoded, request)
    watching.say("measuring how long a pass takes")
    rungs = estimated(found, whole, asked.seeds)
    names = "-".join(beginning.name for beginning in asked.beginnings)
    run = claim(out, data=first.data, model=f"{names}-ladder")
    with holding(run.path), marking(run):
        plan = Plan(
            rungs=rungs,
            seeds=tuple(range(first.seed, first.seed + asked.seeds)),
            threads=core_count(),
            budget=budget,
            climbs_all=asked.climbs_all,
        )
        filed = () if settings_file is None else ("--settings", str(settings_file))
        where = () if out is None else ("--out", str(out))
        words = (*asked.words, *first.words(set(settings) - {"backbone", "tune"}), *filed, *where)
        _begin(run, plan, whole, words)
        watching.begun(run)
        return _climb(run, plan, whole.request, clock, watching)


def resume(
    path: str | Path,
    watching: Watching = UNWATCHED,
    *,
    budget: str | None = None,
    climbs_all: bool = False,
) -> Run:
    """Climb on, with the time that is left or with a new ``budget`` from now on.

    What was over budget or failed is tried again; with ``climbs_all`` what was not worth its time
    too.

    Raises:
        RunError: if the folder holds no ladder, or nothing is left to do.
        SettingsError: if the budget is no duration.
    """
    run = open_run(path)
    if (kind := run.record().kind) != LADDER:
        raise RunError(
            f"{path}: ladder --resume climbs on a ladder, this run is one of {kind!r}: go on with "
            f"it by  convoscope train --resume {path}"
        )
    with holding(run.path), marking(run):
        plan, tried = read_plan(run), read_attempts(run)
        clock = Clock(plan.budget, spent=sum(attempt.seconds for attempt in tried.values()))
        if budget is not None:
            clock = Clock(budget_seconds(budget))
        plan = replace(plan, budget=clock.budget, climbs_all=plan.climbs_all or climbs_all)
        kept = {folder: each for folder, each in tried.items() if _stays(each, plan)}
        if len(kept) == len(plan.rungs):
            raise RunError(
                f"{path}: only an unfinished ladder can be climbed on, nothing is left of this "
                "one: add --climb-all for rungs that were not worth their time, or climb another"
            )
        write_plan(run, plan)
        write_attempts(run, kept)
        watching.begun(run)
        base = asked_request(run.path, run.record().settings)
        return _climb(run, plan, base, clock, watching)


def check_validated(prepared: Prepared) -> None:
    """Refuse to compare anything without validation images.

    Raises:
        SettingsError: if there are none.
    """
    if not len(prepared.splits.indices["validation"]):
        raise SettingsError(
            "what is compared is compared on validation images, this split has none: give a "
            "--validation above 0"
        )


def _stays(attempt: Attempt, plan: Plan) -> bool:
    """Whether trying again would change nothing."""
    if attempt.ending == "not worth it":
        return not plan.climbs_all
    return attempt.ending in ("trained", "refused")


def _begin(run: Run, plan: Plan, whole: Prepared, words: tuple[str, ...]) -> None:
    """Write what is known before training; ``run.json`` last, so that it can be climbed on."""
    write_splits(run.split_file, whole.decoded, whole.splits)
    run.write_architecture(to_yaml(whole.architecture), model_facts(whole))
    write_plan(run, plan)
    possible = [rung for rung in plan.rungs if rung.refusal is None]
    run.write_record(
        RunRecord(
            kind=LADDER,
            settings=absolute(whole.request).to_json(),
            command=("convoscope", "ladder", whole.request.data, *words),
            seed=whole.request.seed,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            data=data_facts(whole),
            versions=environment.versions(),
            machine=environment.machine() | {"threads": str(plan.threads)},
            parts=tuple(part_name(rung, seed) for rung in possible for seed in plan.seeds),
        )
    )


def _climb(run: Run, plan: Plan, base: TrainRequest, clock: Clock, watching: Watching) -> Run:
    """Try each rung that was not tried yet, the cheapest first."""
    run.update_record(status="running", notes=())
    tried = read_attempts(run)
    for number, rung in enumerate(plan.rungs, start=1):
        if rung.folder in tried:
            continue
        attempt = _skipped(run, plan, rung, tried, clock)
        if attempt is None:
            most = about(seconds_of(plan, rung, tried))
            watching.say(f"{number}/{len(plan.rungs)}  {rung.title}, {most} at most")
            attempt = _attempt(run, plan, rung, base, clock, watching)
        if attempt is None:
            run.update_record(status="interrupted")
            return run
        tried[rung.folder] = attempt
        write_attempts(run, tried)
        if attempt.reason:
            watching.say(f"{rung.title}: {attempt.ending}: {attempt.reason}")
    seconds = sum(attempt.seconds for attempt in tried.values())
    run.update_record(status="finished", seconds=seconds)
    return run


def _skipped(
    run: Run, plan: Plan, rung: PlannedRung, tried: dict[str, Attempt], clock: Clock
) -> Attempt | None:
    """Why a rung is not tried, if there is a reason."""
    if rung.refusal is not None:
        return Attempt(folder=rung.folder, ending="refused", reason=rung.refusal)
    if not plan.climbs_all and (reason := not_worth_it(run, plan, rung, tried)):
        return Attempt(folder=rung.folder, ending="not worth it", reason=reason)
    left, seconds = clock.left(), seconds_of(plan, rung, tried)
    if left is not None and seconds > left:
        of = about(plan.budget or 0.0)
        said = f"{about(left)} of {of} are left" if left > 0 else f"nothing of {of} is left"
        reason = f"it would take {about(seconds)}, {said}"
        return Attempt(folder=rung.folder, ending="over budget", reason=reason)
    return None


def _attempt(
    run: Run,
    plan: Plan,
    rung: PlannedRung,
    base: TrainRequest,
    clock: Clock,
    watching: Watching,
) -> Attempt | None:
    """Train a rung with every seed; ``None`` if that was interrupted."""
    request = replace(base, **rung.settings, split=str(run.split_file.absolute()))
    asked = {part_name(rung, seed): replace(request, seed=seed) for seed in plan.seeds}
    return attempted(run, rung.folder, asked, threads=plan.threads, clock=clock, watching=watching)

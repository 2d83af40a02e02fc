"""How much data is needed: ways of training on growing, nested parts of the training images.

Every part is stratified and holds the smaller ones; validation and test images stay the same. Each
seed draws its own parts, so that the spread over seeds holds the luck of the draw too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convoscope.architecture.files import to_yaml
from convoscope.data.splits import Splits, write_splits
from convoscope.data.workers import core_count
from convoscope.errors import RunError
from convoscope.jobs import environment
from convoscope.jobs.below import marking
from convoscope.jobs.folder import claim
from convoscope.jobs.fractions_draw import drawn, part_word
from convoscope.jobs.ladder import check_validated
from convoscope.jobs.ladder_estimate import scratch_seconds, seconds_per_image, tuned_seconds
from convoscope.jobs.ladder_plan import (
    Asked,
    adapted_for,
    check_asked,
    counts_of,
    folder_word,
    suited,
)
from convoscope.jobs.ladder_trainings import (
    UNWATCHED,
    Clock,
    Watching,
    about,
    attempted,
    budget_seconds,
)
from convoscope.jobs.prepare import Prepared, prepare
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.seen import judged_unseen
from convoscope.jobs.settings import absolute, asked_out, asked_request, gathered
from convoscope.jobs.train import data_facts, model_facts
from convoscope.runs import Run, RunRecord, open_run
from convoscope.runs.ladder import Attempt, read_attempts, write_attempts
from convoscope.runs.learning_curve import (
    LEARNING_CURVE,
    CurvePlan,
    PlannedPoint,
    Way,
    read_curve_plan,
    write_curve_plan,
)
from convoscope.runs.lock import holding

USUAL = ("last", "last:3")
"""The strategies that stand beside training from scratch unless others are named."""

SCRATCH = "small"
"""The network that is trained from scratch unless another is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCurves:
    """What learning curves are asked: those of ``model`` from scratch, and of a ladder's rungs."""

    fractions: tuple[float, ...]
    model: str
    ladder: Asked


def learning_curves(
    asked: AskedCurves,
    data: str | Path | None = None,
    *,
    settings_file: str | Path | None = None,
    out: str | Path | None = None,
    watching: Watching = UNWATCHED,
    **settings: Any,
) -> Run:
    """Train every way on every part of the training images; gives back the run of them all.

    ``settings`` are those of :class:`~convoscope.jobs.request.TrainRequest`, for all trainings.

    Raises:
        SettingsError: if a fraction is none, or leaves a class without an image.
        ConvoscopeError: for anything else that one sentence explains.
    """
    budget = check_asked(asked.ladder)
    clock = Clock(budget)
    out = asked_out(out, settings_file)
    ways = list(_ways(asked, data, settings_file, settings))
    whole = prepare(ways[0][1], progress=watching.progress)
    check_validated(whole)
    for _, request in ways:
        judged_unseen(whole.splits, whole.decoded, request)
    seeds = tuple(range(whole.request.seed, whole.request.seed + asked.ladder.seeds))
    parts = {seed: drawn(whole, asked.fractions, seed=seed) for seed in seeds}
    watching.say("measuring how long a pass takes")
    points = sorted(_points(ways, whole, asked), key=lambda point: point.seconds)
    run = claim(out, data=whole.request.data, model="learning-curve")
    with holding(run.path), marking(run):
        plan = CurvePlan(
            ways=tuple(way for way, _ in ways),
            images={part_word(f): len(rows) for f, rows in parts[seeds[0]].items()},
            points=tuple(points),
            classes=max(map(len, whole.dataset.class_names.values())),
            seeds=seeds,
            threads=core_count(),
            budget=budget,
        )
        for seed, found in parts.items():
            for fraction, rows in found.items():
                splits = Splits(indices={**whole.splits.indices, "train": rows}, is_given=True)
                write_splits(_subset(run, fraction, seed), whole.decoded, splits)
        filed = () if settings_file is None else ("--settings", str(settings_file))
        where = () if out is None else ("--out", str(out))
        said = whole.request.words(set(settings) - {"model"})
        _begin(run, plan, whole, (*asked.ladder.words, *said, *filed, *where))
        watching.begun(run)
        return _train(run, plan, whole.request, clock, watching)


def resume(path: str | Path, watching: Watching = UNWATCHED, *, budget: str | None = None) -> Run:
    """Go on, with the time that is left or with a new ``budget`` from now on.

    Raises:
        RunError: if the folder holds no learning curves, or nothing is left to do.
        SettingsError: if the budget is no duration.
    """
    run = open_run(path)
    with holding(run.path), marking(run):
        plan, tried = read_curve_plan(run), read_attempts(run)
        clock = Clock(plan.budget, spent=sum(attempt.seconds for attempt in tried.values()))
        if budget is not None:
            clock = Clock(budget_seconds(budget))
        plan = replace(plan, budget=clock.budget)
        kept = {folder: each for folder, each in tried.items() if each.ending == "trained"}
        if len(kept) == len(plan.points):
            raise RunError(
                f"{path}: only unfinished learning curves can go on, nothing is left of these: "
                "train others with --out elsewhere"
            )
        write_curve_plan(run, plan)
        write_attempts(run, kept)
        watching.begun(run)
        base = asked_request(run.path, run.record().settings)
        return _train(run, plan, base, clock, watching)


def part_name(point: PlannedPoint, seed: int) -> str:
    """The folder of a training below the run."""
    return f"{point.folder}/{seed}"


def _ways(
    asked: AskedCurves,
    data: str | Path | None,
    settings_file: str | Path | None,
    settings: Mapping[str, Any],
) -> Iterator[tuple[Way, TrainRequest]]:
    """From scratch, then each strategy from each beginning, with their requests."""
    scratch = gathered(data, asked.model, settings_file, settings)
    name = Path(asked.model).stem
    yield Way(name=f"scratch-{name}", title=f"{name} from scratch", settings=_own(scratch)), scratch
    for beginning in asked.ladder.beginnings:
        for strategy in asked.ladder.strategies:
            own = {k: v for k, v in suited(strategy, settings).items() if k not in ("set", "input")}
            own |= {**beginning.settings, "tune": strategy}
            request = gathered(data, None, settings_file, own)
            adapted_for(request)
            folder = f"{folder_word(beginning.name)}-{folder_word(strategy)}"
            way = Way(name=folder, title=f"{beginning.name} {strategy}", settings=_own(request))
            yield way, request


def _own(request: TrainRequest) -> dict[str, Any]:
    """All settings but those that name data and split, which all ways share."""
    own = absolute(request).to_json()
    return {k: v for k, v in own.items() if k not in ("data", "split", "seed")}


def _points(
    ways: Sequence[tuple[Way, TrainRequest]], whole: Prepared, asked: AskedCurves
) -> Iterator[PlannedPoint]:
    counts, seeds = counts_of(whole), asked.ladder.seeds
    paces: dict[str, float] = {}
    for way, request in ways:
        adapted = adapted_for(request) if request.tune else None
        architecture = adapted.architecture if adapted else whole.architecture
        preprocessing = adapted.preprocessing if adapted else whole.preprocessing
        if request.network not in paces:
            paces[request.network] = seconds_per_image(architecture, preprocessing, request)
        pace = paces[request.network]
        for place, fraction in enumerate(asked.fractions):
            part = {**counts, "train": round(counts["train"] * fraction)}
            if adapted is None:
                seconds = seeds * scratch_seconds(request, per_image=pace, counts=part)
            else:
                _, rest = tuned_seconds(adapted, per_image=pace, counts=part)
                features, _ = tuned_seconds(adapted, per_image=pace, counts=counts)
                seconds = seeds * rest + (0.0 if place else features)
            folder = f"curves/{way.name}/{part_word(fraction)}"
            yield PlannedPoint(folder=folder, way=way.name, fraction=fraction, seconds=seconds)


def _subset(run: Run, fraction: float, seed: int) -> Path:
    return run.path / "subsets" / f"{part_word(fraction)}-{seed}.csv"


def _begin(run: Run, plan: CurvePlan, whole: Prepared, words: tuple[str, ...]) -> None:
    """Write what is known before training; ``run.json`` last, so that it can be gone on with."""
    write_splits(run.split_file, whole.decoded, whole.splits)
    run.write_architecture(to_yaml(whole.architecture), model_facts(whole))
    write_curve_plan(run, plan)
    run.write_record(
        RunRecord(
            kind=LEARNING_CURVE,
            settings=absolute(whole.request).to_json(),
            command=("convoscope", "ladder", whole.request.data, *words),
            seed=whole.request.seed,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            data=data_facts(whole),
            versions=environment.versions(),
            machine=environment.machine() | {"threads": str(plan.threads)},
            parts=tuple(part_name(point, seed) for point in plan.points for seed in plan.seeds),
        )
    )


def _train(run: Run, plan: CurvePlan, base: TrainRequest, clock: Clock, watching: Watching) -> Run:
    """Train each point that was not trained yet, the cheapest first."""
    run.update_record(status="running", notes=())
    tried = read_attempts(run)
    for number, point in enumerate(plan.points, start=1):
        if point.folder in tried:
            continue
        part = f"{100 * point.fraction:g}\N{NO-BREAK SPACE}% of the training images"
        title = f"{plan.way(point.way).title}, {part}"
        watching.say(f"{number}/{len(plan.points)}  {title}, {about(point.seconds)} at most")
        attempt = _attempt(run, plan, point, base, clock, watching)
        if attempt is None:
            run.update_record(status="interrupted")
            return run
        tried[point.folder] = attempt
        write_attempts(run, tried)
        if attempt.reason:
            watching.say(f"{title}: {attempt.ending}: {attempt.reason}")
    seconds = sum(attempt.seconds for attempt in tried.values())
    run.update_record(status="finished", seconds=seconds)
    return run


def _attempt(
    run: Run,
    plan: CurvePlan,
    point: PlannedPoint,
    base: TrainRequest,
    clock: Clock,
    watching: Watching,
) -> Attempt | None:
    """Train a point with every seed; ``None`` if that was interrupted."""
    left = clock.left()
    if left is not None and point.seconds > left:
        reason = f"it would take {about(point.seconds)}, {about(max(0.0, left))} are left"
        return Attempt(folder=point.folder, ending="over budget", reason=reason)
    shared = {"data": base.data, "split": None, "seed": base.seed}
    request = TrainRequest(**{**plan.way(point.way).settings, **shared})
    asked = {
        part_name(point, seed): replace(
            request, seed=seed, split=str(_subset(run, point.fraction, seed).absolute())
        )
        for seed in plan.seeds
    }
    return attempted(run, point.folder, asked, threads=plan.threads, clock=clock, watching=watching)

"""Variations of one training: the same data, split and seeds, one thing or several changed.

Every variant is checked by arithmetic before anything trains. Each training is a run of its own in
a process of its own, several at a time; a run of variations that was killed goes on with what is
not finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convoscope import disk
from convoscope.architecture.files import to_yaml
from convoscope.data.cache import decode
from convoscope.data.splits import write_splits
from convoscope.engines.devices import device_kind
from convoscope.errors import RunError, SettingsError
from convoscope.jobs import environment
from convoscope.jobs.folder import claim
from convoscope.jobs.prepare import Prepared, prepare, prepare_again
from convoscope.jobs.progress import Progress
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.settings import absolute, asked_out, asked_request, gathered
from convoscope.jobs.source import asked_dataset
from convoscope.jobs.train import data_facts, model_facts
from convoscope.jobs.vary_address import held_settings
from convoscope.jobs.vary_estimate import estimated_seconds, relative_costs
from convoscope.jobs.vary_resolve import Resolved, resolve_each, resolved, with_bases
from convoscope.jobs.vary_room import Room, asked_jobs, room
from convoscope.jobs.vary_space import Space, first_network, merged, of_values, variants
from convoscope.jobs.vary_trainings import (
    UNWATCHED,
    Begun,
    Watching,
    carry_out,
    model_file,
    part_name,
    unfinished,
)
from convoscope.runs import Run, RunRecord, open_run
from convoscope.runs.lock import holding
from convoscope.runs.variations import VARIATIONS, Plan, PlannedVariant, read_plan, write_plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ready:
    """Variations that can begin: what is asked as a whole, what is planned, what is possible."""

    base: TrainRequest
    plan: Plan
    good: Sequence[Resolved]
    prepared: Prepared
    room: Room


def vary(
    space: Space | Mapping[str, Sequence[Any]],
    data: str | Path | None = None,
    *,
    model: str | Path | None = None,
    settings_file: str | Path | None = None,
    seeds: int = 3,
    jobs: str | int = "auto",
    out: str | Path | None = None,
    words: Sequence[str] = (),
    watching: Watching = UNWATCHED,
    **settings: Any,
) -> Run:
    """Train every variant of ``space`` with ``seeds`` seeds; gives back the run of all of them.

    ``space`` may be a mapping such as ``{"layers.conv1.kernel_size": [3, 5]}``: a grid.
    ``settings`` are those of :class:`~convoscope.jobs.request.TrainRequest`, for all variants.
    Where networks themselves are varied and none is named, the others are compared with the first.
    ``jobs`` trainings are computed at a time. ``words`` are those of the command line that say the
    space, for the run's record.

    Raises:
        SettingsError: if nothing is varied, no variant is possible, or nothing would be validated.
        UnknownNameError: if an address names nothing; names the nearest.
        ConvoscopeError: for anything else that one sentence explains.
    """
    if seeds < 1:
        raise SettingsError(f"seeds must be at least 1, got {seeds}: 3 show the luck of training")
    side = asked_jobs(jobs)
    space = space if isinstance(space, Space) else of_values(space)
    held, fixed = held_settings(space.fixed)
    given = {**space.settings, **settings, **held}
    network = given.pop("model", model or space.model)
    if network is None and "backbone" not in given and settings_file is None:
        given |= first_network(space)
        network = given.pop("model", None)
    out = asked_out(out, settings_file)
    base = gathered(data, network, settings_file, given)
    ready = _ready(replace(space, fixed=fixed), base, seeds, side, watching.progress)
    run = claim(out, data=base.data, model=f"{_stem(base)}-varied")
    where = ("--out", str(out)) if out is not None else ()
    with holding(run.path):
        _begin(run, ready, (*words, "--seeds", str(seeds), *where))
        watching.begun(_begun(run, ready, is_new=True))
        return carry_out(run, ready.plan, ready.good, ready.room, watching)


def resume(path: str | Path, watching: Watching = UNWATCHED, *, jobs: str | int = "auto") -> Run:
    """Go on with variations that were stopped: unfinished trainings first, then those not begun.

    Raises:
        RunError: if the folder holds no variations, nothing is left to do, or the images are no
            longer the same.
    """
    run = open_run(path)
    kind = run.record().kind
    if kind != VARIATIONS:
        raise RunError(
            f"{path}: vary --resume goes on with variations, this run is one of {kind!r}: go on "
            f"with it by  convoscope train --resume {path}"
        )
    side = asked_jobs(jobs)
    with holding(run.path):
        plan = read_plan(run)
        if not unfinished(run, plan):
            raise RunError(
                f"{run.path}: only unfinished variations can go on, all of these are trained: "
                "vary again with --out elsewhere"
            )
        ready = _ready_again(run, plan, side, watching.progress)
        watching.begun(_begun(run, ready, is_new=False))
        return carry_out(run, plan, ready.good, ready.room, watching)


def _ready(
    space: Space, base: TrainRequest, seeds: int, side: int | None, progress: Progress
) -> _Ready:
    """Everything checked; the images decoded and split, once for all variants."""
    dataset = asked_dataset(base)
    factors = with_bases(space, base, dataset)
    planned = [
        replace(variant, changes=merged(space.fixed, variant.changes))
        for variant in variants(factors, space.combine)
    ]
    good, refused = resolve_each(planned, base, dataset)
    prepared = prepare(good[0].request, progress=progress)
    _check_validated(prepared)
    # Other sizes are decoded here too, not by several trainings at once.
    for preprocessing in {one.preprocessing for one in good} - {prepared.preprocessing}:
        decode(dataset, preprocessing=preprocessing, skip_unreadable=base.skip_unreadable)
    device = device_kind(base.engine, base.device)
    chosen = room(side, good, trainings=len(good) * seeds, device=device)
    plan = Plan(
        factors={f.name: tuple(level.name for level in f.levels) for f in factors},
        variants=(*(one.planned for one in good), *refused),
        seeds=tuple(range(base.seed, base.seed + seeds)),
        threads=chosen.threads,
    )
    return _Ready(base=base, plan=plan, good=good, prepared=prepared, room=chosen)


def _ready_again(run: Run, plan: Plan, side: int | None, progress: Progress) -> _Ready:
    """What was ready when the run began."""
    base = asked_request(run.path, run.record().settings)
    prepared = prepare_again(run, base, progress=progress)
    possible = [variant for variant in plan.variants if variant.refusal is None]
    good = [resolved(variant, base, prepared.dataset) for variant in possible]
    device = device_kind(base.engine, base.device)
    left = len(unfinished(run, plan))
    # The threads decide the bytes, so they stay; how many trainings run at once does not.
    chosen = replace(room(side, good, trainings=left, device=device), threads=plan.threads)
    return _Ready(base=base, plan=plan, good=good, prepared=prepared, room=chosen)


def _begin(run: Run, ready: _Ready, words: tuple[str, ...]) -> None:
    """Write what is known before training; ``run.json`` last, so that it can be gone on with."""
    prepared, plan = ready.prepared, ready.plan
    write_splits(run.split_file, prepared.decoded, prepared.splits)
    run.write_architecture(to_yaml(ready.good[0].architecture), model_facts(prepared))
    for one in ready.good:
        if one.is_changed:
            disk.write_text(model_file(run, one.planned), to_yaml(one.architecture))
    write_plan(run, plan)
    _, _, *asked = ready.base.command()
    run.write_record(
        RunRecord(
            kind=VARIATIONS,
            settings=absolute(ready.base).to_json(),
            command=("convoscope", "vary", *asked, *words),
            seed=ready.base.seed,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            data=data_facts(prepared),
            versions=environment.versions(),
            machine=environment.machine() | {"threads": str(plan.threads)},
            parts=tuple(_parts(plan)),
        )
    )


def _parts(plan: Plan) -> list[str]:
    possible: list[PlannedVariant] = [v for v in plan.variants if v.refusal is None]
    return [part_name(variant, seed) for seed in plan.seeds for variant in possible]


def _begun(run: Run, ready: _Ready, *, is_new: bool) -> Begun:
    indices = ready.prepared.splits.indices
    images = {"learnt": len(indices["train"]), "validated": len(indices["validation"])}
    seeds = len(ready.plan.seeds)
    costs = relative_costs(ready.good, **images)
    return Begun(
        run=run,
        plan=ready.plan,
        costs={
            part_name(one.planned, seed): costs[one.planned.name]
            for one in ready.good
            for seed in ready.plan.seeds
            if part_name(one.planned, seed) in unfinished(run, ready.plan)
        },
        variants=len(ready.good),
        room=ready.room,
        seconds=(
            estimated_seconds(ready.good, **images, seeds=seeds, room=ready.room)
            if is_new
            else None
        ),
    )


def _stem(base: TrainRequest) -> str:
    """What the run's folder is called after."""
    return Path(base.model or base.backbone or "network").stem


def _check_validated(prepared: Prepared) -> None:
    if not len(prepared.splits.indices["validation"]):
        raise SettingsError(
            "variants are compared, and one of them chosen, on validation images, this split has "
            "none: give a --validation above 0"
        )

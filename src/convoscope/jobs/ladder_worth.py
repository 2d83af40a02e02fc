"""Whether a rung is worth its time, judged from those that were climbed, on validation images.

Two laws. Where even a rung without a mistake could not be told apart from the best one, there is
nothing to be shown. And where the last steps on a backbone brought nothing that is more than noise,
no longer one is taken than all before it together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.jobs.ladder_trainings import about, finished
from convoscope.metrics.classification import whole_right
from convoscope.metrics.intervals import LEVEL
from convoscope.metrics.paired import SeedLuck, paired_difference, seed_luck
from convoscope.runs import Run
from convoscope.runs.ladder import Attempt, Plan, PlannedRung

PATIENCE = 2
"""Steps on a backbone that may bring nothing before a long one is left alone."""


def part_name(rung: PlannedRung, seed: int) -> str:
    """The folder of a training below the run."""
    return f"{rung.folder}/{seed}"


def seconds_of(plan: Plan, rung: PlannedRung, tried: Mapping[str, Attempt]) -> float:
    """About how long a rung takes now: without features that another one has left behind."""
    there = {o.front for o in plan.rungs if o.folder in tried and tried[o.folder].seconds}
    return rung.seconds - (rung.feature_seconds if rung.front in there else 0.0)


def right_of(run: Run, plan: Plan, rung: PlannedRung) -> FloatArray | None:
    """(S, N) 1 where a finished seed has a validation image right; ``None`` if none is finished."""
    parts = finished(run, [part_name(rung, seed) for seed in plan.seeds])
    if not parts:
        return None
    said = [part.predictions("validation") for part in parts]
    for each in said:
        # One split file for all, read in one order; otherwise no image could be paired.
        assert each.ids == said[0].ids, f"{run.path}: other validation images"
    right: FloatArray = np.stack([whole_right(each).astype(np.float64) for each in said])
    return right


def not_worth_it(
    run: Run, plan: Plan, rung: PlannedRung, tried: Mapping[str, Attempt]
) -> str | None:
    """A sentence that says why a rung is not worth its time; ``None`` if it is."""
    climbed = {
        one.title: (one, right)
        for one in plan.rungs
        if one.folder in tried and (right := right_of(run, plan, one)) is not None
    }
    if not climbed:
        return None
    luck = luck_of([right for _, right in climbed.values()])
    best = max(climbed, key=lambda title: float(climbed[title][1].mean()))
    if reason := nothing_to_show(best, climbed[best][1], luck):
        return reason
    spent = sum(attempt.seconds for attempt in tried.values())
    own = [(one, right) for one, right in climbed.values() if one.backbone == rung.backbone]
    vain = steps_in_vain([right for _, right in own], luck)
    seconds = seconds_of(plan, rung, tried)
    if vain < PATIENCE or seconds <= spent:
        return None
    names = ", ".join(one.strategy for one, _ in own[-vain:])
    return (
        f"the last {vain} steps on {rung.backbone} ({names}) brought nothing that is more than "
        f"noise, and this one would take {about(seconds)}, more than all before it"
    )


def nothing_to_show(title: str, best: FloatArray, luck: SeedLuck | None) -> str | None:
    """A sentence where even a rung without a mistake could not be told apart from the best one,
    whose answers are (S, N).
    """
    images = best.shape[1]
    perfect = np.ones((len(best), images))
    if paired_difference(best, perfect, luck=luck, is_share=True).p_value < 1 - LEVEL:
        return None
    wrong = float((1 - best.mean(axis=0)).sum())
    return (
        f"{title} is wrong on {wrong:.3g} of {images} validation pictures: even a rung without a "
        "mistake could not be told apart from it"
    )


def steps_in_vain(climbed: Sequence[FloatArray], luck: SeedLuck | None) -> int:
    """How many of the last steps were no more than noise better than the best below them."""
    vain = 0
    for place in range(1, len(climbed)):
        below = max(climbed[:place], key=lambda right: float(right.mean()))
        step = paired_difference(below, climbed[place], luck=luck, is_share=True)
        is_gain = step.value > 0 and step.p_value < 1 - LEVEL
        vain = 0 if is_gain else vain + 1
    return vain


def luck_of(climbed: Sequence[FloatArray]) -> SeedLuck | None:
    """How far seeds lie apart, pooled over all rungs."""
    return seed_luck([right.mean(axis=1).tolist() for right in climbed])

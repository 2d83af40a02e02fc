"""What came of a ladder: each rung's figures, what each step is worth, and what to take.

Everything is computed from saved predictions. Validation images decide; test images are shown and
decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from convoscope.architecture.analysis import analyse
from convoscope.arrays import FloatArray
from convoscope.errors import RunError
from convoscope.jobs.below import status_of
from convoscope.jobs.ladder_trainings import about, finished
from convoscope.jobs.ladder_worth import luck_of, part_name, right_of
from convoscope.metrics.classification import known, losses, whole_right
from convoscope.metrics.comparison import holm
from convoscope.metrics.intervals import LEVEL, Figure
from convoscope.metrics.paired import Paired, SeedLuck, paired_difference
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.spread import SHARE, mean_over_images, spread
from convoscope.runs import Run
from convoscope.runs.ladder import (
    Attempt,
    Ladder,
    NotClimbed,
    Plan,
    PlannedRung,
    Rung,
    Step,
    read_attempts,
    read_plan,
)
from convoscope.transfer.strategies import tuning

_ONE_ERROR = 0.6827  # of all cases lie within one standard error

Answers: TypeAlias = Mapping[int, FloatArray]
"""By the number of a rung, (S, N) 1 where a seed has a validation image right."""


def compare(run: Run) -> Ladder:
    """All rungs of a run beside one another.

    Raises:
        RunError: if no rung of it was climbed.
    """
    plan, tried = read_plan(run), read_attempts(run)
    answers: dict[int, FloatArray] = {}
    rungs: list[Rung] = []
    for planned in plan.rungs:
        right = right_of(run, plan, planned) if planned.refusal is None else None
        if right is not None:
            number = len(rungs) + 1
            answers[number] = right
            attempt = tried.get(planned.folder) or Attempt(folder=planned.folder, ending="trained")
            attempt = replace(
                attempt,
                seconds=attempt.seconds - attempt.feature_seconds,
                feature_seconds=_feature_seconds(run, plan, planned, tried),
            )
            rungs.append(_rung(run, plan, planned, attempt, number=number, right=right))
    missing = tuple(_not_climbed(plan, tried, {rung.planned.folder for rung in rungs}))
    if not rungs:
        said = f": {missing[0].reason}" if missing and missing[0].reason else ""
        raise RunError(
            f"{run.path}: a ladder needs a rung that was climbed, none of {len(plan.rungs)} "
            f"was{said}: climb on with  convoscope ladder --resume {run.path}"
        )
    luck = luck_of(list(answers.values()))
    steps = _steps(rungs, answers, luck)
    best = max(rungs, key=lambda rung: (answers[rung.number].mean(), -rung.number))
    recommended = min(_near(rungs, best, answers, luck), key=lambda rung: rung.alone)
    return Ladder(
        rungs=tuple(rungs),
        steps=steps,
        not_climbed=missing,
        seeds=plan.seeds,
        images=answers[best.number].shape[1],
        test_images=_test_images(rungs),
        level=LEVEL,
        budget=plan.budget,
        best=best.number,
        recommended=recommended.number,
        recommendation=_recommendation(recommended, best, rungs, answers, luck),
        notes=tuple(_notes(run, plan, rungs)),
    )


# -- rungs ----------------------------------------------------------------------------------------


def _rung(
    run: Run,
    plan: Plan,
    planned: PlannedRung,
    attempt: Attempt,
    *,
    number: int,
    right: FloatArray,
) -> Rung:
    names = [part_name(planned, seed) for seed in plan.seeds]
    parts = finished(run, names)
    records = [part.record() for part in parts]
    facts = parts[0].model().get("backbone")
    learnt = facts.get("learnt_parameters") if isinstance(facts, dict) else None
    parameters = analyse(parts[0].architecture()).parameters
    accuracies = right.mean(axis=1).tolist()
    peaks = [int(record.machine.get("peak_memory_bytes") or 0) for record in records]
    return Rung(
        number=number,
        planned=planned,
        runs=tuple(part.path for part in parts),
        validation=mean_over_images(right > 0),
        test=tested(parts),
        spread=spread(accuracies, limits=SHARE) if len(accuracies) > 1 else None,
        validation_loss=float(np.mean([_loss(part.predictions("validation")) for part in parts])),
        parameters=parameters,
        learnt=parameters if learnt is None else int(learnt),
        trained=tuning(planned.strategy).trained,
        epochs=float(np.mean([record.epochs for record in records])),
        seconds=attempt.seconds,
        feature_seconds=attempt.feature_seconds,
        peak_memory=max(peaks) or None,
        failures=tuple(_failures(run, names)),
    )


def _feature_seconds(
    run: Run, plan: Plan, rung: PlannedRung, tried: Mapping[str, Attempt]
) -> float:
    """What the features of its frozen part took, whoever computed them."""
    parts = finished(run, [part_name(rung, seed) for seed in plan.seeds])
    if (known := parts[0].record().features.get("seconds")) is not None:
        return float(known)
    alike = {one.folder for one in plan.rungs if rung.front and one.front == rung.front}
    return max((tried[f].feature_seconds for f in alike | {rung.folder} if f in tried), default=0.0)


def _loss(predictions: Predictions) -> float:
    """The mean per image, of all heads together."""
    heads = predictions.heads.values()
    return float(sum(losses(known(head)).sum() for head in heads) / max(1, len(predictions.ids)))


def tested(parts: Sequence[Run]) -> Figure | None:
    """The mean accuracy on test images; ``None`` where a training has none."""
    if not all("test" in part.splits() for part in parts):
        return None
    right = np.stack([whole_right(part.predictions("test")) for part in parts])
    return mean_over_images(right) if right.size else None


def warnings_of(parts: Sequence[Run]) -> Iterator[str]:
    """A sentence for whatever went wrong in trainings that came to their end, by their seeds."""
    for part in parts:
        for warning in part.record().warnings:
            yield f"seed {part.path.name}: {warning}"


def _test_images(rungs: Sequence[Rung]) -> int:
    tested = [rung for rung in rungs if rung.test is not None]
    return len(Run(tested[0].runs[0]).predictions("test").ids) if tested else 0


def _failures(run: Run, names: Sequence[str]) -> Iterator[str]:
    """A sentence for each training that did not come to its end."""
    for name in names:
        if status_of(run, name) not in ("finished", None):
            record = Run(run.path / name).record()
            reason = record.notes[-1] if record.notes else record.status
            yield f"seed {name.rpartition('/')[2]}: {reason}"


def _not_climbed(
    plan: Plan, tried: Mapping[str, Attempt], climbed: set[str]
) -> Iterator[NotClimbed]:
    for planned in plan.rungs:
        if planned.folder in climbed:
            continue
        attempt = tried.get(planned.folder)
        if attempt is None:
            yield NotClimbed(planned=planned, ending="not reached", reason="not reached yet")
        else:
            yield NotClimbed(planned=planned, ending=attempt.ending, reason=attempt.reason)


# -- steps ----------------------------------------------------------------------------------------


def _steps(rungs: Sequence[Rung], answers: Answers, luck: SeedLuck | None) -> tuple[Step, ...]:
    """Each rung but the first against the best of those below it."""
    raw = []
    for place, rung in enumerate(rungs[1:], start=1):
        below = max(rungs[:place], key=lambda r: (answers[r.number].mean(), -r.number))
        first, second = answers[below.number], answers[rung.number]
        raw.append((rung, below, paired_difference(first, second, luck=luck, is_share=True)))
    adjusted = holm([found.p_value for _, _, found in raw])
    return tuple(
        Step(
            number=rung.number,
            against=below.number,
            accuracy=found,
            p_adjusted=p,
            is_more_than_noise=bool(p < 1 - LEVEL),
            sentence=_step_sentence(rung, below, found, is_sure=p < 1 - LEVEL),
        )
        for (rung, below, found), p in zip(raw, adjusted, strict=True)
    )


def _near(rungs: Sequence[Rung], best: Rung, answers: Answers, luck: SeedLuck | None) -> list[Rung]:
    """The best, and those that lie within one standard error of it.

    Source: Breiman, Friedman, Olshen and Stone 1984, *Classification and regression trees*,
    section 3.4.3, the 1-SE rule; the error here is that of the paired difference.
    """
    ahead = {
        rung.number: paired_difference(
            answers[rung.number],
            answers[best.number],
            luck=luck,
            is_share=True,
            level=_ONE_ERROR,
        )
        for rung in rungs
        if rung is not best
    }
    return [r for r in rungs if r is best or ahead[r.number].interval.low <= 0]


def _level_with(best: int, answers: Answers, luck: SeedLuck | None) -> tuple[int, ...]:
    """The other rungs that are not told apart from the best."""
    others = [number for number in answers if number != best]
    found = [
        paired_difference(answers[number], answers[best], luck=luck, is_share=True)
        for number in others
    ]
    adjusted = holm([each.p_value for each in found])
    return tuple(n for n, p in zip(others, adjusted, strict=True) if p >= 1 - LEVEL)


# -- sentences ------------------------------------------------------------------------------------


def _step_sentence(rung: Rung, below: Rung, found: Paired, *, is_sure: bool) -> str:
    verdict = "more than noise" if is_sure else "may be noise"
    if not is_sure and found.p_value < 1 - LEVEL:
        verdict += ", all steps looked at together"
    elif not is_sure and not found.interval.low <= 0 <= found.interval.high:
        # An interval is about normal; the exact test of so few pictures is not.
        verdict += f" (p = {found.p_value:.2f})"
    return (
        f"{rung.title} against {below.title}: {points(found.value)} points of validation accuracy "
        f"({_range(found)} over other images{_seeds(found)}), {verdict}."
    )


def _recommendation(
    taken: Rung, best: Rung, rungs: Sequence[Rung], answers: Answers, luck: SeedLuck | None
) -> str:
    """One sentence; it claims no more than the intervals do."""
    share, count = percent(taken.validation.value), answers[best.number].shape[1]
    right = f"{share} of {count:,} validation pictures right"
    if len(rungs) == 1:
        return f"Take {taken.title}, the only rung that was climbed: {right}."
    cost = f"{taken.learnt:,} learnt parameters, {about(taken.alone)}"
    if taken is not best:
        first, second = answers[taken.number], answers[best.number]
        gap = paired_difference(first, second, luck=luck, is_share=True)
        return (
            f"Take {taken.title}: {right} ({cost}), the cheapest rung within one standard error of "
            f"the best, {best.title} ({percent(best.validation.value)}); a lead of up to "
            f"{100 * max(0.0, gap.interval.high):.1f} points of the latter is not excluded."
        )
    cheaper = {rung.number for rung in rungs if rung.alone < taken.alone}
    if not cheaper:
        return f"Take {taken.title}, the best rung and the cheapest: {right} ({cost})."
    level_with = cheaper & set(_level_with(best.number, answers, luck))
    if not level_with:
        return (
            f"Take {taken.title}: {right} ({cost}), more than noise better than all cheaper ones."
        )
    names = ", ".join(rung.title for rung in rungs if rung.number in level_with)
    return (
        f"Take {taken.title}: {right} ({cost}), the best, no cheaper rung lies within one standard "
        f"error of it; but its lead over {names} may be noise."
    )


def points(share: float) -> str:
    """A difference of shares in percentage points: ``+4.5``, ``−2.0``, ``0.0``."""
    rounded = round(100 * share, 1)
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{abs(rounded):.1f}"


def percent(share: float | None) -> str:
    """A share as ``94.5 %``, which no line break parts."""
    return f"{100 * (share or 0.0):.1f}\N{NO-BREAK SPACE}%"


def _range(found: Paired) -> str:
    return f"{points(found.interval.low)} to {points(found.interval.high)}"


def _seeds(found: Paired) -> str:
    return f" and other seeds, {found.seeds} of each" if found.knows_seeds else ", with one seed"


def _notes(run: Run, plan: Plan, rungs: Sequence[Rung]) -> Iterator[str]:
    yield from (str(note) for note in run.record().data.get("notes", ()))
    for rung in rungs:
        for said in (*rung.failures, *warnings_of([Run(path) for path in rung.runs])):
            yield f"{rung.title}, {said}"
    if len(plan.seeds) == 1:
        yield (
            "Each rung was trained with one seed: nothing here knows of the luck of training, so "
            "every comparison is about these very networks."
        )
    if len(rungs) > 1 and any(rung.test is not None for rung in rungs):
        yield (
            "Validation pictures chose among the rungs, which flatters the chosen one a little; "
            "the test figures stand beside them and chose nothing."
        )

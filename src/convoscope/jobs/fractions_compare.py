"""What came of growing parts of the training images: each way's curve, and how much data it takes.

Everything is computed from saved predictions of validation images; test images are shown and decide
nothing. What lies beyond the largest part is said as a condition, with its interval, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from convoscope.arrays import FloatArray, generator
from convoscope.errors import RunError
from convoscope.jobs.fractions import part_name
from convoscope.jobs.fractions_draw import part_word
from convoscope.jobs.ladder_compare import percent, points, tested, warnings_of
from convoscope.jobs.ladder_trainings import finished
from convoscope.metrics.classification import whole_right
from convoscope.metrics.comparison import holm
from convoscope.metrics.intervals import LEVEL, Interval
from convoscope.metrics.paired import Paired, SeedLuck, paired_difference, seed_luck
from convoscope.metrics.spread import SHARE, mean_over_images, spread
from convoscope.runs import Run
from convoscope.runs.ladder import read_attempts
from convoscope.runs.learning_curve import (
    CurvePlan,
    LearningCurves,
    PlannedPoint,
    Point,
    Way,
    WayCurve,
    read_curve_plan,
)

_RESAMPLES = 1000
_FEWEST_POINTS = 3
_FARTHEST = 100.0  # times the largest part: beyond that a number is no answer


def compare(run: Run) -> LearningCurves:
    """All ways of a run beside one another.

    Raises:
        RunError: if no training of it is finished.
    """
    plan, tried = read_curve_plan(run), read_attempts(run)
    right = {p.folder: found for p in plan.points if (found := _right(run, plan, p)) is not None}
    missing = tuple(
        f"{plan.way(p.way).title}, {100 * p.fraction:g}\N{NO-BREAK SPACE}%: "
        + (tried[p.folder].reason if p.folder in tried else "not reached yet")
        for p in plan.points
        if p.folder not in right
    )
    if not right:
        raise RunError(
            f"{run.path}: learning curves need a finished training, none of {len(plan.points)} "
            f"points has one: {missing[0]}: go on with  convoscope ladder --resume {run.path}"
        )
    seconds = {folder: attempt.seconds for folder, attempt in tried.items()}
    curves = _curves(run, plan, right, seconds)
    first = next(iter(right.values()))
    return LearningCurves(
        curves=curves,
        seeds=plan.seeds,
        images=first.shape[1],
        test_images=_test_images(curves),
        level=LEVEL,
        sentence=_sentence(plan, curves, right),
        missing=missing,
        notes=tuple(_notes(run, plan, curves)),
    )


def _right(run: Run, plan: CurvePlan, point: PlannedPoint) -> FloatArray | None:
    """(S, N) 1 where a finished seed has a validation image right."""
    parts = finished(run, [part_name(point, seed) for seed in plan.seeds])
    if not parts:
        return None
    said = [whole_right(part.predictions("validation")).astype(np.float64) for part in parts]
    right: FloatArray = np.stack(said)
    return right


def _curves(
    run: Run, plan: CurvePlan, right: Mapping[str, FloatArray], seconds: Mapping[str, float]
) -> tuple[WayCurve, ...]:
    rows = []
    for way in plan.ways:
        ordered = sorted((p for p in plan.points if p.way == way.name), key=lambda p: p.fraction)
        known = [p for p in ordered if p.folder in right]
        if known:
            shown = tuple(_point(run, plan, p, right[p.folder], seconds) for p in known)
            answers = [right[p.folder] for p in known]
            step = None
            if len(answers) > 1:
                luck = _luck(answers)
                step = paired_difference(answers[-2], answers[-1], luck=luck, is_share=True)
            rows.append((way, shown, answers, step))
    stepped = [step for *_, step in rows if step is not None]
    adjusted = iter(holm([step.p_value for step in stepped]))
    curves = []
    for way, shown, answers, step in rows:
        is_rising = step is not None and next(adjusted) < 1 - LEVEL and step.value > 0
        halving = errors_halved([p.per_class for p in shown], answers)
        curves.append(
            WayCurve(
                way=way,
                points=shown,
                last_step=step,
                is_rising=is_rising,
                halving=halving,
                sentence=_way_sentence(way, shown, step, halving, is_rising=is_rising),
            )
        )
    return tuple(curves)


def _luck(answers: Sequence[FloatArray]) -> SeedLuck | None:
    """How far seeds lie apart, pooled over the parts of ways that are compared: others may differ
    in it, training from scratch on few images most of all.
    """
    return seed_luck([right.mean(axis=1).tolist() for right in answers])


def _point(
    run: Run,
    plan: CurvePlan,
    point: PlannedPoint,
    right: FloatArray,
    seconds: Mapping[str, float],
) -> Point:
    parts = finished(run, [part_name(point, seed) for seed in plan.seeds])
    images = plan.images[part_word(point.fraction)]
    accuracies = right.mean(axis=1).tolist()
    return Point(
        fraction=point.fraction,
        images=images,
        per_class=images / plan.classes,
        runs=tuple(part.path for part in parts),
        validation=mean_over_images(right > 0),
        test=tested(parts),
        spread=spread(accuracies, limits=SHARE) if len(accuracies) > 1 else None,
        seconds=seconds.get(point.folder, 0.0),
    )


def errors_halved(
    per_class: Sequence[float], answers: Sequence[FloatArray]
) -> tuple[float, Interval] | None:
    """How many images of each class would halve the errors, if these fell on as over the parts.

    Errors are taken to fall as a power of the number of images, fitted to all parts; ``answers``
    are (S, N) for each. The interval draws images and seeds anew. ``None`` for fewer than three
    parts, without an error, where they may not fall at all, or only at a hundred times as many.

    Source: Hestness et al. 2017, https://arxiv.org/abs/1712.00409, for the power law.
    """
    images = answers[0].shape[1]
    wrong = np.array([1 - right.mean() for right in answers])
    if len(answers) < _FEWEST_POINTS or (wrong <= 0).any():
        return None
    rng = generator(0, "halving the errors")
    weights = rng.multinomial(images, np.full(images, 1 / images), size=_RESAMPLES) / images
    drawn = np.empty((_RESAMPLES, len(answers)))
    for place, right in enumerate(answers):
        seeds = rng.multinomial(len(right), np.full(len(right), 1 / len(right)), size=_RESAMPLES)
        mean = (seeds / len(right)) @ right  # (R, N)
        drawn[:, place] = 1 - (mean * weights).sum(axis=1)
    least = 0.5 / images
    slopes = _slopes(per_class, np.maximum(drawn, least))
    slope = float(_slopes(per_class, wrong[None])[0])
    low, high = np.quantile(slopes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    least_slope = np.log(2) / np.log(_FARTHEST)
    if low < least_slope or slope < least_slope:
        return None
    most = max(per_class)
    return most * 2 ** (1 / slope), Interval(most * 2 ** (1 / high), most * 2 ** (1 / low))


def _slopes(per_class: Sequence[float], wrong: FloatArray) -> FloatArray:
    """Of -log errors (R, P) on the logarithm of the number of images, by least squares."""
    across = np.log(np.asarray(per_class, np.float64))
    across = across - across.mean()
    slopes: FloatArray = -(np.log(wrong) @ across) / float(across @ across)
    return slopes


# -- sentences ------------------------------------------------------------------------------------


def _way_sentence(
    way: Way,
    shown: Sequence[Point],
    step: Paired | None,
    halving: tuple[float, Interval] | None,
    *,
    is_rising: bool,
) -> str:
    if step is None:
        return f"{way.title}: one part alone, which says nothing of more data."
    before, last = shown[-2], shown[-1]
    said = (
        f"{way.title}: from {before.per_class:.3g} to {last.per_class:.3g} images of each class "
        f"{points(step.value)} points ({points(step.interval.low)} to "
        f"{points(step.interval.high)})"
    )
    if not is_rising:
        together = ", all ways looked at together" if step.interval.low > 0 else ""
        return f"{said}, which may be noise{together}: nothing shows that more images help."
    return f"{said}, more than noise: it was still rising{_condition(halving)}."


def _condition(halving: tuple[float, Interval] | None) -> str:
    if halving is None:
        return "; how much more would be needed these numbers do not say"
    value, interval = halving
    return (
        f"; should its errors fall on as over these parts, about {value:.2g} images of each class "
        f"({interval.low:.2g} to {interval.high:.2g}) would halve them"
    )


def _sentence(plan: CurvePlan, curves: Sequence[WayCurve], right: Mapping[str, FloatArray]) -> str:
    """The best way on all, how few images it needs to beat scratch, and whether more would help."""
    whole = [curve for curve in curves if curve.points[-1].fraction == plan.fractions[-1]]
    if not whole:
        return "No way has learnt from the largest part yet: nothing can be said of more images."
    best = max(whole, key=lambda c: c.points[-1].validation.value or 0.0)
    rest = [curve for curve in whole if curve is not best]
    last = best.points[-1]
    said = [
        f"{best.way.title} names {percent(last.validation.value)} of the validation pictures right "
        f"with {last.per_class:.3g} images of each class"
    ]
    scratch = next((c for c in rest if c.way.settings.get("tune") is None), None)
    if scratch is not None:
        said.append(_against(plan, best, scratch, right))
    more = best.sentence.partition(": ")[2]
    return "; ".join(said) + f". {more[0].upper()}{more[1:]}"


def _against(
    plan: CurvePlan, best: WayCurve, other: WayCurve, right: Mapping[str, FloatArray]
) -> str:
    """With how few images the best way is more than noise better than the other with all."""
    folders = {(p.way, p.fraction): p.folder for p in plan.points}
    theirs = right[folders[other.way.name, other.points[-1].fraction]]
    ways = {best.way.name, other.way.name}
    luck = _luck([right[p.folder] for p in plan.points if p.way in ways and p.folder in right])
    steps = [
        paired_difference(
            theirs, right[folders[best.way.name, p.fraction]], luck=luck, is_share=True
        )
        for p in best.points
    ]
    adjusted = holm([step.p_value for step in steps])
    for point, step, p in zip(best.points, steps, adjusted, strict=True):
        if step.value > 0 and p < 1 - LEVEL:
            return (
                f"with {point.per_class:.3g} it is more than noise better than {other.way.title} "
                f"with {other.points[-1].per_class:.3g} "
                f"({percent(other.points[-1].validation.value)})"
            )
    share = percent(other.points[-1].validation.value)
    return f"it is not told apart from {other.way.title} ({share})"


def _test_images(curves: Sequence[WayCurve]) -> int:
    shown = [p for curve in curves for p in curve.points if p.test is not None]
    return len(Run(shown[0].runs[0]).predictions("test").ids) if shown else 0


def _notes(run: Run, plan: CurvePlan, curves: Sequence[WayCurve]) -> Iterator[str]:
    yield from (str(note) for note in run.record().data.get("notes", ()))
    for curve in curves:
        for point in curve.points:
            for said in warnings_of([Run(path) for path in point.runs]):
                yield f"{curve.way.title}, {point.per_class:.3g} of each class, {said}"
    if len(plan.seeds) == 1:
        yield (
            "Each point was trained with one seed on one draw of images: nothing here knows of "
            "that luck."
        )

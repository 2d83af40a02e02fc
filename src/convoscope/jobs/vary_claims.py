"""What each change is worth: differences of matched variants, in numbers and in a sentence.

A level is compared with its factor's first level over every pair of variants that differ in that
alone. The p-values of all comparisons of accuracy are corrected together, and so are those of each
loss; a sentence claims a difference only where its own is below 5 % after that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.metrics.comparison import holm
from convoscope.metrics.intervals import LEVEL
from convoscope.metrics.paired import Paired, SeedLuck, paired_difference, seed_luck
from convoscope.runs.variations import Contrast, Plan

_MEASURES = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "accuracy": "validation accuracy",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a variant's finished trainings said, a row per seed; the images in one order.

    ``right`` and ``losses`` (S, N) are of the validation split, those of ``train`` (S, M).
    """

    seeds: tuple[int, ...]
    right: FloatArray
    losses: FloatArray
    train_right: FloatArray
    train_losses: FloatArray


@dataclass(frozen=True, slots=True)
class _Luck:
    """How far seeds lie apart, pooled over all variants."""

    accuracy: SeedLuck | None
    loss: SeedLuck | None
    train_loss: SeedLuck | None


def contrasts(plan: Plan, answers: Mapping[str, Answers]) -> tuple[Contrast, ...]:
    """Every level of every factor against the factor's first, as far as both were trained."""
    luck = _luck(answers)
    raw = [
        _contrast(factor, level, levels[0], pairs, answers, luck)
        for factor, levels in plan.factors.items()
        for level in levels[1:]
        if (pairs := list(_pairs(plan, factor, level, levels[0], answers)))
    ]
    adjusted = {
        measure: holm([getattr(contrast, measure).p_value for contrast in raw])
        for measure in _MEASURES
    }
    return tuple(
        _said(contrast, {measure: values[place] for measure, values in adjusted.items()})
        for place, contrast in enumerate(raw)
    )


def told_apart(chosen: str, answers: Mapping[str, Answers]) -> tuple[str, ...]:
    """The other variants whose accuracy is not told apart from the chosen one's."""
    luck = _luck(answers).accuracy
    others = [name for name in answers if name != chosen]
    found = [
        paired_difference(answers[chosen].right, answers[name].right, luck=luck, is_share=True)
        for name in others
    ]
    adjusted = holm([difference.p_value for difference in found])
    return tuple(name for name, p in zip(others, adjusted, strict=True) if p >= 1 - LEVEL)


def _luck(answers: Mapping[str, Answers]) -> _Luck:
    def of(field: str) -> SeedLuck | None:
        return seed_luck([getattr(a, field).mean(axis=1).tolist() for a in answers.values()])

    return _Luck(of("right"), of("losses"), of("train_losses"))


def _pairs(
    plan: Plan, factor: str, level: str, against: str, answers: Mapping[str, Answers]
) -> Iterator[tuple[str, str]]:
    """Names of variants that differ in this alone, the one to compare with first."""
    by_levels = {_key(variant.levels): variant.name for variant in plan.variants}
    for variant in plan.variants:
        if variant.levels[factor] != level or variant.name not in answers:
            continue
        other = by_levels.get(_key({**variant.levels, factor: against}))
        if other in answers:
            yield str(other), variant.name


def _key(levels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(levels.items()))


def _contrast(
    factor: str,
    level: str,
    against: str,
    pairs: Sequence[tuple[str, str]],
    answers: Mapping[str, Answers],
    luck: _Luck,
) -> Contrast:
    def difference(field: str, luck: SeedLuck | None, *, is_share: bool = False) -> Paired:
        first = _together([answers[one] for one, _ in pairs], field)
        second = _together([answers[other] for _, other in pairs], field)
        fewer = None if luck is None else replace(luck, sd=luck.sd / len(pairs) ** 0.5)
        return paired_difference(first, second, luck=fewer, is_share=is_share)

    return Contrast(
        factor=factor,
        level=level,
        against=against,
        pairs=len(pairs),
        accuracy=difference("right", luck.accuracy, is_share=True),
        validation_loss=difference("losses", luck.loss),
        train_loss=difference("train_losses", luck.train_loss),
        p_adjusted=1.0,
        is_more_than_noise=False,
        claim="",
        evidence="",
    )


def _together(found: Sequence[Answers], field: str) -> FloatArray:
    """(S, N) the means over variants of the seeds that all of them have; else of all seeds."""
    shared = set(found[0].seeds).intersection(*(one.seeds for one in found))
    if not shared:
        alone: FloatArray = np.mean([getattr(one, field).mean(axis=0) for one in found], axis=0)
        return alone[None]
    rows = [
        getattr(one, field)[[one.seeds.index(seed) for seed in sorted(shared)]] for one in found
    ]
    mean: FloatArray = np.mean(rows, axis=0)
    return mean


# -- sentences ------------------------------------------------------------------------------------


def _said(contrast: Contrast, adjusted: Mapping[str, float]) -> Contrast:
    """With its sentence; ``adjusted`` has a p-value per measure that allows for the others."""
    sure = [measure for measure in _MEASURES if adjusted[measure] < 1 - LEVEL]
    whole = replace(
        contrast,
        p_adjusted=adjusted["accuracy"],
        is_more_than_noise="accuracy" in sure,
        claim=_claim(contrast, sure),
    )
    return replace(whole, evidence=_evidence(whole))


def _claim(contrast: Contrast, sure: Sequence[str]) -> str:
    name = f"{contrast.factor} {contrast.level} instead of {contrast.against}"
    if not any(getattr(contrast, measure).value for measure in _MEASURES):
        return f"{name}: trained alike, to the last figure; within these epochs it changes nothing"
    said = [
        f"{words} {_higher(getattr(contrast, measure).value)}"
        for measure, words in _MEASURES.items()
        if measure in sure
    ]
    return f"{name}: {', '.join(said) if said else 'no difference that is more than noise'}"


def _higher(value: float) -> str:
    return "higher" if value > 0 else "lower"


def _evidence(contrast: Contrast) -> str:
    accuracy = contrast.accuracy
    points = f"{_points(accuracy.value)} points of accuracy"
    within = f"{_points(accuracy.interval.low)} to {_points(accuracy.interval.high)}"
    luck = "and other seeds" if accuracy.knows_seeds else "with these very networks"
    seeds = f"{accuracy.seeds} seed{'s' if accuracy.seeds > 1 else ''}"
    over = f", {contrast.pairs} pairs of variants" if contrast.pairs > 1 else ""
    verdict = "" if contrast.is_more_than_noise else "; may be noise"
    if verdict and accuracy.p_value < 1 - LEVEL:
        verdict += ", all changes looked at together"
    losses = "; ".join(
        f"{what} loss {_signed(paired.value)} ({_signed(paired.interval.low)} to "
        f"{_signed(paired.interval.high)})"
        for what, paired in (
            ("training", contrast.train_loss),
            ("validation", contrast.validation_loss),
        )
    )
    return (
        f"{points} ({within} over other images {luck}, {accuracy.images:,} images, {seeds}{over}"
        f"{verdict}); {losses}"
    )


def _points(share: float) -> str:
    rounded = round(100 * share, 1)
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{abs(rounded):.1f}"


def _signed(value: float) -> str:
    text = f"{abs(value):.2g}" if abs(value) < 0.1 else f"{abs(value):.2f}"
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{text}"

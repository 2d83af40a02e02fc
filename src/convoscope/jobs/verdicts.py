"""Whether each two of several runs differ by more than noise, in numbers and in a sentence."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from convoscope.metrics.calibration import confidences
from convoscope.metrics.comparison import both_right, compare_accuracy, holm, mcnemar
from convoscope.metrics.intervals import LEVEL, Figure
from convoscope.metrics.predictions import Predictions
from convoscope.runs.comparison import Divided, Verdict

SINGLE_HEAD = "class"
"""What the head of a network with one head is called; a sentence need not name it."""


def verdicts(
    said: Mapping[str, Predictions], names: Mapping[str, str], heads: Sequence[str]
) -> tuple[Verdict, ...]:
    """Each two of the runs ``said`` (by letter), on all heads at once and on each head.

    With one head only that head. The p-values of one head, or of all, are corrected together.

    Raises:
        DataError: if two do not speak of the same labelled images, or of none.
    """
    asked: list[str | None] = [*heads] if len(heads) == 1 else [None, *heads]
    only = {letter: _with_heads(predictions, heads) for letter, predictions in said.items()}
    found = []
    for head in asked:
        raw = [_verdict(one, other, only, head) for one, other in itertools.combinations(only, 2)]
        adjusted = holm([verdict.test.p_value for verdict in raw])
        for verdict, p_value in zip(raw, adjusted, strict=True):
            judged = replace(
                verdict, p_adjusted=p_value, is_more_than_noise=bool(p_value < 1 - LEVEL)
            )
            claim, evidence = _sentence(judged, names, len(raw))
            found.append(replace(judged, claim=claim, evidence=evidence))
    return tuple(found)


def _with_heads(predictions: Predictions, heads: Sequence[str]) -> Predictions:
    return replace(predictions, heads={head: predictions.heads[head] for head in heads})


def _verdict(one: str, other: str, said: Mapping[str, Predictions], head: str | None) -> Verdict:
    first, second = said[one], said[other]
    ids, first_right, second_right = both_right(first, second, head)
    images = (
        ((), ())
        if head is None
        else (
            _divided(first, second, head, ids, first_right & ~second_right, wrong_is_second=True),
            _divided(first, second, head, ids, second_right & ~first_right, wrong_is_second=False),
        )
    )
    return Verdict(
        first=one,
        second=other,
        head=head,
        images=len(ids),
        both_right=int((first_right & second_right).sum()),
        both_wrong=int((~first_right & ~second_right).sum()),
        test=mcnemar(first, second, head),
        p_adjusted=1.0,
        difference=compare_accuracy(first, second, head),
        is_more_than_noise=False,
        claim="",
        evidence="",
        only_first=images[0],
        only_second=images[1],
    )


def _divided(
    first: Predictions,
    second: Predictions,
    head: str,
    ids: Sequence[str],
    chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    *,
    wrong_is_second: bool,
) -> tuple[Divided, ...]:
    """The chosen of the labelled images, the surest mistake first."""
    one, other = first.heads[head], second.heads[head]
    rows = {name: row for row, name in enumerate(first.ids)}
    others = {name: row for row, name in enumerate(second.ids)}
    one_said, other_said = one.predicted(), other.predicted()
    one_sure, other_sure = confidences(one), confidences(other)
    names = one.class_names
    found = [
        Divided(
            id=name,
            true=names[one.labels[rows[name]]],
            first_said=names[one_said[rows[name]]],
            first_probability=float(one_sure[rows[name]]),
            second_said=names[other_said[others[name]]],
            second_probability=float(other_sure[others[name]]),
        )
        for name in itertools.compress(ids, chosen)
    ]
    return tuple(
        sorted(
            found,
            key=lambda d: -(d.second_probability if wrong_is_second else d.first_probability),
        )
    )


# -- the sentence ---------------------------------------------------------------------------------


def _sentence(verdict: Verdict, names: Mapping[str, str], pairs: int) -> tuple[str, str]:
    """What is claimed, and what it rests on."""
    first, second = names[verdict.first], names[verdict.second]
    where = "" if verdict.head in (None, SINGLE_HEAD) else f" ({verdict.head})"
    only_first, only_second = verdict.test.only_first, verdict.test.only_second
    if not only_first + only_second:
        same = f"{first} and {second}{where} have the very same pictures right"
        return same, "nothing tells them apart"
    better, worse, more, fewer = (
        (second, first, only_second, only_first)
        if only_second >= only_first
        else (first, second, only_first, only_second)
    )
    alone = _alone(only_first + only_second, better, more, worse, fewer)
    evidence = f"{alone} ({_p_values(verdict, pairs)})"
    points = _points(verdict.difference, flip=better != second)
    if verdict.is_more_than_noise:
        ahead = f"{better}{where} is right more often than {worse}, by {points}"
        return f"{ahead}, and that is more than noise", evidence
    if more == fewer:
        return f"{first} and {second}{where} are right equally often", evidence
    return f"{better}{where} is ahead of {worse} by {points}, which may well be noise", evidence


def _alone(apart: int, better: str, more: int, worse: str, fewer: int) -> str:
    if apart == 1:
        return f"they differ on a single picture, which {better} has right"
    return (
        f"of the {apart:,} pictures that only one of them has right, {better} has {more:,} and "
        f"{worse} {fewer:,}"
    )


def _points(difference: Figure, *, flip: bool) -> str:
    assert difference.value is not None
    assert difference.low is not None
    assert difference.high is not None
    low, high = 100 * difference.low, 100 * difference.high
    if flip:
        low, high = -high, -low
    value = abs(100 * difference.value)
    unit = "point" if round(value, 1) == 1 else "points"
    interval = f"{100 * LEVEL:g} % interval {_signed(low)} to {_signed(high)}"
    return f"{value:.1f} {unit} of accuracy ({interval})"


def _signed(value: float) -> str:
    return f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")


def _p_values(verdict: Verdict, pairs: int) -> str:
    alone = _p_value(verdict.test.p_value)
    if pairs == 1:
        return alone
    return f"{alone}, {_p_value(verdict.p_adjusted)} corrected for {pairs} pairs"


def _p_value(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"

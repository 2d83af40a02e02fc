"""How several trainings learnt, on one chart: each a thin line, their median a bold one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

from markupsafe import Markup

from convoscope.pictures.curves import Curve, learning_curves
from convoscope.report.learning import CURVES, SCORES, Kind, score_of

History: TypeAlias = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """The curves of several trainings, by score, and a sentence on how to read them."""

    sentence: str
    charts: tuple[tuple[str, Markup], ...]


def learnt_together(histories: Sequence[History], word: str) -> Together | None:
    """The charts of several trainings, each a ``word`` such as fold; ``None`` where one of them
    has no epochs.
    """
    if not histories or not all(histories):
        return None
    shared, last = (each(map(len, histories)) for each in (min, max))
    reached = "" if shared == last else f", which is epoch {shared} of at most {last}"
    return Together(
        sentence=(
            f"Each thin line is one {word}, the bold one the median of all {len(histories)} as "
            f"far as all of them went{reached}."
        ),
        charts=tuple(_charts(histories, shared, last)),
    )


def _charts(histories: Sequence[History], shared: int, last: int) -> Iterator[tuple[str, Markup]]:
    for score, is_share in SCORES:
        measured = [
            (kind, values) for kind in CURVES if (values := _values(histories, kind, score, last))
        ]
        curves = [_curve(kind, each, is_thin=True) for kind, every in measured for each in every]
        curves += [_curve(kind, _median(every, shared), is_thin=False) for kind, every in measured]
        if curves:
            unit = "" if is_share else "nats"
            epochs = range(1, last + 1)
            yield score, learning_curves(epochs, curves, score=score, unit=unit, is_share=is_share)


def _values(histories: Sequence[History], kind: Kind, score: str, last: int) -> list[list[float]]:
    """A score of each training, ``last`` epochs long; nothing where none of them measured it."""
    missing = math.nan
    values = [
        [score_of(epoch, f"{kind.key}_{score}") for epoch in history]
        + [missing] * (last - len(history))
        for history in histories
    ]
    return values if any(math.isfinite(value) for each in values for value in each) else []


def _median(every: Sequence[Sequence[float]], shared: int) -> list[float]:
    """The median of the trainings in each of the epochs that they share, then nothing."""
    middles = [
        median(found) if all(map(math.isfinite, found)) else math.nan
        for found in zip(*every, strict=True)
    ]
    return middles[:shared] + [math.nan] * (len(middles) - shared)


def _curve(kind: Kind, values: Sequence[float], *, is_thin: bool) -> Curve:
    return Curve(
        name=kind.name,
        values=values,
        colour=kind.colour,
        is_dashed=kind.is_dashed,
        is_thin=is_thin,
    )

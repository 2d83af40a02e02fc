"""What is confused with what, property by property: a class such as ``15_3_135_red`` has four.

The properties are called *factors*. They are the heads of a network with several, or, of one head
whose classes are combinations, what each class is in each factor. Of 96 classes a matrix has 9,216
cells; of the four factors behind them it says that the angle is mistaken and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from convoscope.arrays import Array, IntArray
from convoscope.metrics.classification import whole_known
from convoscope.metrics.clusters import number_clusters, share
from convoscope.metrics.intervals import LEVEL, Figure
from convoscope.metrics.predictions import Predictions

_SIGNS = ("_", "-", " ", ",", "/")

Table = Mapping[str, Sequence[str]]
"""Per factor what each class is in it, as a word: ``{"colour": ("red", "red", "blue", ...)}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorMetrics:
    """One factor: its values, how often it is right, and (V, V) what is taken for what."""

    name: str
    values: tuple[str, ...]
    correct: int
    accuracy: Figure
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSummary:
    """The factors of the ``n`` images whose labels are all known.

    ``wrong_together`` says of each set of factors how many images have exactly these wrong, the
    most frequent first; what is left of n has all right.
    """

    n: int
    correct: int
    factors: tuple[FactorMetrics, ...]
    wrong_together: tuple[tuple[tuple[str, ...], int], ...]


def factors_of_names(class_names: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
    """The factors that class names such as ``7_1_0_red`` speak of; ``None`` if they do not.

    A sign must part every name into as many words, and the classes must be all combinations of the
    words found, of at least two factors with several values each. A factor is called by its place;
    a word that all classes share is none.
    """
    for sign in _SIGNS:
        split = [tuple(name.split(sign)) for name in class_names]
        if len(set(map(len, split))) != 1 or len(set(split)) < len(split):
            continue
        columns = list(zip(*split, strict=True))
        varied = [(place, words) for place, words in enumerate(columns, 1) if len(set(words)) > 1]
        if len(varied) > 1 and prod(len(set(words)) for _, words in varied) == len(split):
            return {f"part {place}": words for place, words in varied}
    return None


def summarise_factors(
    predictions: Predictions, table: Table | None = None, *, level: float = LEVEL
) -> FactorSummary:
    """Each factor's figures, from saved predictions.

    ``table`` says what the classes of the only head are in each factor; without it the heads are
    the factors.
    """
    known = whole_known(predictions)
    found = _of_heads(predictions) if table is None else _of_classes(predictions, table)
    clusters = None if predictions.groups is None else number_clusters(predictions.groups)[known]
    right = {name: (true == said)[known] for name, (_, true, said) in found.items()}
    return FactorSummary(
        n=int(known.sum()),
        correct=int(np.logical_and.reduce(list(right.values())).sum()),
        factors=tuple(
            FactorMetrics(
                name=name,
                values=values,
                correct=int(right[name].sum()),
                accuracy=share(right[name], clusters, level),
                confusion=_confusion(true[known], said[known], len(values)),
            )
            for name, (values, true, said) in found.items()
        ),
        wrong_together=_wrong_together(right),
    )


_Factor = tuple[tuple[str, ...], IntArray, IntArray]
"""The values of a factor, and (N,) which of them is true and which was said."""


def _of_heads(predictions: Predictions) -> dict[str, _Factor]:
    return {
        name: (head.class_names, head.labels, head.predicted())
        for name, head in predictions.heads.items()
    }


def _of_classes(predictions: Predictions, table: Table) -> dict[str, _Factor]:
    (head,) = predictions.heads.values()
    factors: dict[str, _Factor] = {}
    for name, words in table.items():
        values = tuple(dict.fromkeys(words))
        of_class = np.array([values.index(word) for word in words], dtype=np.int64)
        factors[name] = (values, of_class[head.labels], of_class[head.predicted()])
    return factors


def _confusion(true: IntArray, said: IntArray, values: int) -> tuple[tuple[int, ...], ...]:
    counts = np.bincount(true * values + said, minlength=values * values)
    return tuple(tuple(row) for row in counts.reshape(values, values).tolist())


def _wrong_together(right: Mapping[str, Array]) -> tuple[tuple[tuple[str, ...], int], ...]:
    names = list(right)
    wrong = ~np.stack(list(right.values()), axis=1)
    sets, counts = np.unique(wrong[wrong.any(axis=1)], axis=0, return_counts=True)
    found = [
        (tuple(name for name, is_wrong in zip(names, row, strict=True) if is_wrong), count)
        for row, count in zip(sets.tolist(), counts.tolist(), strict=True)
    ]
    return tuple(sorted(found, key=lambda pair: (-pair[1], len(pair[0]), pair[0])))

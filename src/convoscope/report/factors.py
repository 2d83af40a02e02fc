"""What is confused with what: a run of combined classes, or of several heads, factor by factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from convoscope.metrics.factors import (
    FactorMetrics,
    FactorSummary,
    factors_of_names,
    summarise_factors,
)
from convoscope.pictures.confusion import confusion_matrix
from convoscope.report import wording
from convoscope.report.reading import Contents

_SETS_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFactor:
    """A factor's figures; ``matrix`` is empty where the page shows it elsewhere."""

    figures: FactorMetrics
    matrix: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSet:
    """Factors that images have wrong together, and how many; ``share`` is of all wrong images."""

    factors: str
    count: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorsOnSplit:
    """The factors on one split. ``rest`` images are wrong in sets of factors not listed."""

    split: str
    summary: FactorSummary
    sentence: str
    factors: tuple[ShownFactor, ...]
    sets: tuple[WrongSet, ...]
    rest: int


def factors_section(contents: Contents) -> tuple[FactorsOnSplit, ...]:
    """The factors on each split, the one that counts first; empty where there are none."""
    tables = factor_table(contents)
    if tables is None and len(contents.heads) < 2:
        return ()
    return tuple(_on_split(contents, split, tables) for split in contents.shown_splits)


def factor_table(contents: Contents) -> Mapping[str, Sequence[str]] | None:
    """What the classes of the only head are in each factor, as the data said or their names say."""
    if len(contents.heads) != 1:
        return None
    (head,) = contents.heads
    said = contents.model.get("factors", {}).get(head)
    names = contents.predictions[contents.main_split].heads[head].class_names
    return said if said is not None else factors_of_names(names)


def factor_orders(table: Mapping[str, Sequence[str]] | None) -> dict[str, list[int]]:
    """Orders of the classes in which those that agree in a factor stand together."""
    if table is None:
        return {}
    place = {
        name: {word: i for i, word in enumerate(dict.fromkeys(words))}
        for name, words in table.items()
    }
    orders = {}
    for name, words in table.items():
        # By this factor first, then by the others as they come.
        keys = [words, *(others for other, others in table.items() if other != name)]
        ranks = [place[name], *(place[other] for other in table if other != name)]
        orders[f"by {name}"] = sorted(
            range(len(words)),
            key=lambda k, keys=keys, ranks=ranks: [  # type: ignore[misc]
                rank[column[k]] for column, rank in zip(keys, ranks, strict=True)
            ],
        )
    return orders


def _on_split(
    contents: Contents, split: str, table: Mapping[str, Sequence[str]] | None
) -> FactorsOnSplit:
    summary = summarise_factors(contents.predictions[split], table)
    wrong = summary.n - summary.correct
    shown = summary.wrong_together[:_SETS_SHOWN]
    return FactorsOnSplit(
        split=split,
        summary=summary,
        sentence=_sentence(summary),
        factors=tuple(
            ShownFactor(
                figures=factor,
                matrix=Markup("") if table is None else _matrix(factor),
            )
            for factor in summary.factors
        ),
        sets=tuple(
            WrongSet(factors=wording.together(names), count=count, share=count / wrong)
            for names, count in shown
        ),
        rest=wrong - sum(count for _, count in shown),
    )


def _matrix(factor: FactorMetrics) -> Markup:
    return confusion_matrix(np.array(factor.confusion, dtype=np.int64), factor.values)


def _sentence(summary: FactorSummary) -> str:
    """Which factor is wrong most often, and how often nothing else is."""
    wrong = summary.n - summary.correct
    pictures = wording.counted(summary.n, "picture")
    if not summary.n:
        return "No picture of this split has all its labels."
    if not wrong:
        return f"All {pictures} are right in every factor."
    worst = min(summary.factors, key=lambda factor: factor.correct)
    alone = dict(summary.wrong_together).get((worst.name,), 0)
    mistaken = summary.n - worst.correct
    verb = "is" if wrong == 1 else "are"
    return (
        f"Of {pictures} {wording.count(wrong)} {verb} wrong in at least one factor. Most often it "
        f"is the {worst.name}, wrong in {wording.count(mistaken)}, and in "
        f"{wording.count(alone)} of them nothing else."
    )

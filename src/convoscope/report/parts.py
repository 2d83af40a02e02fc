"""Several trainings as one section: each with its figures, their spread, and what it is worth.

Two kinds of doubt are kept apart in every sentence: that other pictures would have been tested,
and that training would have gone another way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.errors import ReconciliationError
from convoscope.metrics.intervals import Figure
from convoscope.metrics.spread import Spread
from convoscope.pictures.bars import AccuracyRow, accuracy_chart
from convoscope.report import wording
from convoscope.report.accuracy import accuracy_row
from convoscope.report.headline import BASELINE_NAME
from convoscope.report.learning_parts import Together, learnt_together
from convoscope.report.printed import number, read_page
from convoscope.runs.parts import CROSS_VALIDATION, LOSS, Parts, figures_of, shared_training

_HALF_A_DIGIT = 0.0005001


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """One training: ``key`` marks its figures, ``cells`` are those after accuracy."""

    name: str
    key: str
    n: int
    correct: int
    accuracy: Figure
    cells: tuple[str, ...]
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticRow:
    """One number of every column's spread, such as the mean."""

    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsSection:
    """The section: ``word`` is fold or seed, ``sentences`` say what its numbers are worth,
    ``learnt`` is how they came to be.
    """

    word: str
    sentences: tuple[str, ...]
    chart: Markup
    columns: tuple[str, ...]
    rows: tuple[PartRow, ...]
    statistics: tuple[StatisticRow, ...]
    learnt: Together | None


def parts_section(parts: Parts, baseline: float | None) -> PartsSection:
    """The section of a run's parts; ``baseline`` is the accuracy that needs no learning."""
    is_folds = parts.kind == CROSS_VALIDATION
    word = "fold" if is_folds else "seed"
    columns = tuple(figures_of(parts.parts[0].metrics))
    return PartsSection(
        word=word,
        sentences=_fold_sentences(parts) if is_folds else _seed_sentences(parts),
        chart=accuracy_chart(_chart_rows(parts, word, baseline), baseline_name=BASELINE_NAME),
        columns=columns[1:],
        rows=tuple(_rows(parts)),
        statistics=tuple(_statistics(parts, columns)),
        learnt=learnt_together([part.run.history() for part in parts.parts], word),
    )


def check_parts(page: str, parts: Parts) -> None:
    """Add the printed numbers of the parts up again.

    Raises:
        ReconciliationError: if a share is not right / tested, the mean not that of the shares, or
            the folds do not add up to the pooled figures.
    """
    printed = {key: number(texts[0]) for key, texts in read_page(page).figures.items()}

    def said(key: str) -> float:
        value = printed.get(key)
        if value is None:
            raise _disagreement(f"{key}: a report must print this figure", "it does not", "one")
        return value

    shares = []
    for part in parts.parts:
        share = said(f"{part.name}/correct") / said(f"{part.name}/n")
        _close(f"{part.name}: accuracy and right / images", said(f"{part.name}/accuracy"), share)
        shares.append(share)
    mean = sum(shares) / len(shares)
    _close("mean of the parts' accuracies", said("parts/mean/accuracy"), mean)
    if parts.pooled is not None:
        for what in ("n", "correct"):
            total = sum(said(f"{part.name}/{what}") for part in parts.parts)
            whole = said(f"{parts.pooled.split}/whole/{what}")
            _close(f"{what} of all folds and pooled", total, whole)


def _rows(parts: Parts) -> list[PartRow]:
    rows = []
    for part in parts.parts:
        figures = figures_of(part.metrics)
        others = [(name, figure) for name, figure in figures.items() if name != "accuracy"]
        rows.append(
            PartRow(
                name=part.name.partition("/")[2],
                key=part.name,
                n=part.metrics.whole.n,
                correct=part.metrics.whole.correct,
                accuracy=figures["accuracy"],
                cells=tuple(_said(name, figure.value) for name, figure in others),
                epoch=part.record.best_epoch,
            )
        )
    return rows


def _statistics(parts: Parts, columns: tuple[str, ...]) -> list[StatisticRow]:
    found = {name: parts.over_parts.get(name) for name in columns}
    rows = []
    for name in ("mean", "standard deviation", "smallest", "largest"):
        field = "sd" if name == "standard deviation" else name
        values = [(c, None if s is None else getattr(s, field)) for c, s in found.items()]
        rows.append(
            StatisticRow(name=name, cells=tuple(_said(column, value) for column, value in values))
        )
    return rows


def _said(column: str, value: float | None) -> str:
    return wording.score(value) if column == LOSS else wording.share(value)


def _chart_rows(parts: Parts, word: str, baseline: float | None) -> list[AccuracyRow]:
    whole = "all folds" if word == "fold" else "mean"
    named = [(whole, parts.over_images)]
    named += [
        (f"{word} {part.name.partition('/')[2]}", part.metrics.whole.accuracy)
        for part in parts.parts
    ]
    return [
        row
        for index, (name, figure) in enumerate(named)
        for row in accuracy_row(
            name, figure, baseline=None if index else baseline, is_main=index == 0
        )
    ]


def _fold_sentences(parts: Parts) -> tuple[str, ...]:
    count = len(parts.parts)
    accuracy = parts.over_parts["accuracy"]
    said = [
        f"Every picture was tested once, by one of {count} networks, which had seen neither it nor "
        f"what belongs to it. Pooled over all folds {wording.share(parts.over_images.value)} are "
        f"named right; over other pictures the interval is {wording.interval(parts.over_images)}."
    ]
    if parts.over_groups is not None:
        said.append(
            "Pictures of one group resemble one another; drawn group by group the interval is "
            f"{wording.interval(parts.over_groups)}."
        )
    said.append(f"Over the folds accuracy goes {_range(accuracy)}. {shared_training(count)}")
    return tuple(said)


def _seed_sentences(parts: Parts) -> tuple[str, ...]:
    accuracy = parts.over_parts["accuracy"]
    expected = "All are equal, so no interval can be given."
    if accuracy.interval is not None:
        within = wording.interval(Figure(accuracy.mean, *accuracy.interval))
        expected = (
            "On these very pictures the mean over ever more seeds is expected within "
            f"{within} (Student’s t)."
        )
    return (
        f"The luck of training: {accuracy.n} networks that differ in their seed alone were tested "
        f"on the same pictures, and their accuracy goes {_range(accuracy)}. {expected}",
        f"The luck of the pictures: on other pictures of the same kind these {accuracy.n} networks "
        f"are expected to name {wording.interval(parts.over_images)} right on average (Wilson, "
        "each picture counted once); a single one of them within its own interval below.",
        "Neither interval contains the other’s doubt.",
    )


def _range(accuracy: Spread) -> str:
    points = f"{100 * accuracy.sd:.1f}"
    return (
        f"from {wording.share(accuracy.smallest)} to {wording.share(accuracy.largest)}, with a "
        f"standard deviation of {points} percentage points around {wording.share(accuracy.mean)}"
    )


def _close(where: str, one: float, other: float) -> None:
    if not math.isclose(one, other, rel_tol=0, abs_tol=_HALF_A_DIGIT):
        raise _disagreement(f"{where} must agree", one, other)


def _disagreement(law: str, one: object, other: object) -> ReconciliationError:
    return ReconciliationError(
        f"report, {law}, got {one} and {other}: write the report again from the saved predictions"
    )

"""One head on one split: its confusion matrix, its classes, its mistakes, its honesty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from convoscope.arrays import ByteArray, IntArray
from convoscope.metrics.mistakes import most_confident_mistakes, picture_name
from convoscope.metrics.summary import ClassMetrics, HeadMetrics
from convoscope.pictures.confusion import Panes, confusion_panes, neighbour_order
from convoscope.pictures.thumbnails import data_uri, is_tiny
from convoscope.report.accuracy import figure_bar
from convoscope.report.confidence import reliability
from convoscope.report.factors import factor_orders, factor_table
from convoscope.report.reading import Contents

PAIRS_SHOWN = 10
_MANY_CLASSES = 12
_PHONE_WIDTH = 358 / 0.8  # of a page on a phone, for a matrix that may be drawn at four fifths


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Images of one class that were taken for another; ``share`` is of that class's images."""

    true: str
    taken_for: str
    count: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """A class's figures with the bars that show them."""

    figures: ClassMetrics
    precision_bar: Markup
    recall_bar: Markup
    f1_bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small picture for the page; ``is_tiny`` ones are enlarged with square pixels."""

    id: str
    uri: str
    width: int
    height: int
    is_tiny: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMistake:
    """A wrong answer, with the picture where it was stored."""

    id: str
    true: str
    predicted: str
    confidence: float
    true_probability: float
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadOnSplit:
    """Everything a page shows of one head on one split."""

    split: str
    metrics: HeadMetrics
    panes: Panes
    orders: Mapping[str, list[int]]
    is_large: bool
    fits_phone: bool
    pairs: tuple[Pair, ...]
    classes: tuple[ClassRow, ...]
    mistakes: tuple[ShownMistake, ...]
    reliability: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSection:
    """One head, on each split, the one that counts first."""

    name: str
    splits: tuple[HeadOnSplit, ...]


def head_sections(contents: Contents) -> tuple[HeadSection, ...]:
    """A section per head."""
    return tuple(
        HeadSection(
            name=head,
            splits=tuple(_on_split(contents, head, split) for split in contents.shown_splits),
        )
        for head in contents.heads
    )


def thumbnail(samples: Mapping[str, ByteArray], id_: str, split: str = "") -> Thumbnail | None:
    """The stored picture of that id, of that split's before any other; ``None`` without one."""
    image = samples.get(picture_name(split, id_), samples.get(id_))
    if image is None:
        return None
    height, width, _ = image.shape
    return Thumbnail(
        id=id_, uri=data_uri(image), width=width, height=height, is_tiny=is_tiny(image)
    )


def confused_pairs(
    counts: IntArray, class_names: Sequence[str], *, most: int = PAIRS_SHOWN
) -> tuple[Pair, ...]:
    """The off-diagonal cells of a (K, K) matrix with the most images, at most ``most``."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [divmod(int(index), len(counts)) for index in order]
    return tuple(
        Pair(
            true=class_names[row],
            taken_for=class_names[column],
            count=int(wrong[row, column]),
            share=float(wrong[row, column] / counts[row].sum()),
        )
        for row, column in cells
        if wrong[row, column]
    )


def _on_split(contents: Contents, head: str, split: str) -> HeadOnSplit:
    metrics = contents.metrics[split].heads[head]
    counts = np.array(metrics.confusion, dtype=np.int64)
    names = [a_class.name for a_class in metrics.classes]
    panes = confusion_panes(counts, names)
    return HeadOnSplit(
        split=split,
        metrics=metrics,
        panes=panes,
        orders=_orders(counts, metrics.classes) | factor_orders(factor_table(contents)),
        is_large=len(names) > _MANY_CLASSES,
        fits_phone=panes.width <= _PHONE_WIDTH,
        pairs=confused_pairs(counts, names),
        classes=tuple(_class_row(a_class) for a_class in metrics.classes),
        mistakes=_mistakes(contents, head, split),
        reliability=reliability(metrics.calibration.bins),
    )


def _orders(counts: IntArray, classes: Sequence[ClassMetrics]) -> dict[str, list[int]]:
    names = [a_class.name.casefold() for a_class in classes]
    recalls = [1.0 if c.recall.value is None else c.recall.value for c in classes]
    indices = range(len(classes))
    return {
        "as in the data": list(indices),
        "by name": sorted(indices, key=lambda k: names[k]),
        "worst first": sorted(indices, key=lambda k: recalls[k]),
        "confused side by side": neighbour_order(counts),
    }


def _class_row(figures: ClassMetrics) -> ClassRow:
    return ClassRow(
        figures=figures,
        precision_bar=figure_bar(figures.precision),
        recall_bar=figure_bar(figures.recall),
        f1_bar=figure_bar(figures.f1),
    )


def _mistakes(contents: Contents, head: str, split: str) -> tuple[ShownMistake, ...]:
    predictions = contents.predictions[split]
    names = predictions.heads[head].class_names
    return tuple(
        ShownMistake(
            id=mistake.id,
            true=names[mistake.true],
            predicted=names[mistake.predicted],
            confidence=mistake.confidence,
            true_probability=mistake.true_probability,
            thumbnail=thumbnail(contents.samples, mistake.id, split),
        )
        for mistake in most_confident_mistakes(predictions, head)
    )

"""The first screen: the result in three sentences and one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from convoscope.arrays import IntArray
from convoscope.metrics.intervals import Figure
from convoscope.metrics.predictions import HeadPredictions
from convoscope.pictures.bars import AccuracyRow, accuracy_chart
from convoscope.report import wording
from convoscope.report.accuracy import accuracy_row
from convoscope.report.reading import Contents

BASELINE_NAME = "commonest class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What the first screen says: the figure that counts, sentences around it, a chart."""

    split: str
    accuracy: Figure
    correct: int
    images: int
    comparison: str
    origin: str
    chart: Markup


def headline(contents: Contents) -> Headline:
    """The headline of a run, of the split that counts."""
    whole = contents.metrics[contents.main_split].whole
    return Headline(
        split=contents.main_split,
        accuracy=whole.accuracy,
        correct=whole.correct,
        images=whole.n,
        comparison=_comparison(contents),
        origin=_origin(contents),
        chart=accuracy_chart(_rows(contents), baseline_name=BASELINE_NAME),
    )


def commonest_class(contents: Contents, head: str) -> int:
    """The class that most of the training images have, or of the only split there is."""
    first = contents.predictions[
        "train" if "train" in contents.predictions else contents.main_split
    ]
    labels = first.heads[head].labels
    classes = len(first.heads[head].class_names)
    return int(np.bincount(labels[labels >= 0], minlength=classes).argmax())


def baseline(contents: Contents, split: str, head: str) -> float | None:
    """How often always answering the commonest training class is right on a split."""
    labels = _known(contents.predictions[split].heads[head])
    return float((labels == commonest_class(contents, head)).mean()) if len(labels) else None


def whole_baseline(contents: Contents, split: str) -> float | None:
    """How often the commonest class of every head is right for all heads at once."""
    heads = contents.predictions[split].heads
    known = np.logical_and.reduce([head.labels >= 0 for head in heads.values()])
    right = [head.labels == commonest_class(contents, name) for name, head in heads.items()]
    return float(np.logical_and.reduce(right)[known].mean()) if known.any() else None


def _known(head: HeadPredictions) -> IntArray:
    return head.labels[head.labels >= 0]


def _rows(contents: Contents) -> list[AccuracyRow]:
    main = contents.main_split
    named = [
        (split, contents.metrics[split].whole.accuracy, whole_baseline(contents, split))
        for split in contents.shown_splits
    ]
    if len(contents.heads) > 1:
        heads = contents.metrics[main].heads
        named = [(f"{main}, all right", *named[0][1:])] + [
            (name, heads[name].accuracy, baseline(contents, main, name)) for name in contents.heads
        ]
    return [
        row
        for index, (name, figure, base) in enumerate(named)
        for row in accuracy_row(name, figure, baseline=base, is_main=index == 0)
    ]


def _comparison(contents: Contents) -> str:
    main = contents.main_split
    base = whole_baseline(contents, main)
    low = contents.metrics[main].whole.accuracy.low
    if base is None or low is None:
        return "No label of this split is known, so nothing can be compared."
    heads = contents.predictions[main].heads
    guess = math.prod(1 / len(head.class_names) for head in heads.values())
    names = [head.class_names[commonest_class(contents, n)] for n, head in heads.items()]
    answer = f"“{names[0]}”" if len(names) == 1 else "the commonest class of each head"
    said = f"Always answering {answer} would be right for {wording.share(base)}"
    said += f", guessing for {wording.share(guess)}"
    if low > max(base, guess):
        return f"{said}: the network has learnt something."
    return f"{said}: on these pictures the network cannot be told from that."


def _origin(contents: Contents) -> str:
    record, analysis = contents.record, contents.analysis
    pictures = contents.metrics["train"].images if "train" in contents.metrics else None
    learnt = (
        f"learnt from {wording.counted(pictures, 'picture')} of " if pictures else "applied to "
    )
    if record.parts:
        learnt = f"trained {len(record.parts)} times, each time without the pictures it tests, on "
    parts = [f"{analysis.name}, {wording.counted(analysis.parameters, 'parameter')}, ", learnt]
    parts.append(str(record.data.get("name", "the data")))
    if record.epochs:
        parts.append(f" in {wording.counted(record.epochs, 'epoch')}")
    if record.seconds:
        parts.append(f" {'and' if record.epochs else 'in'} {wording.duration(record.seconds)}")
    parts.append(wording.features(record.features))
    best = f"; epoch {record.best_epoch} is kept" if record.best_epoch else ""
    return "".join(parts) + best + "."

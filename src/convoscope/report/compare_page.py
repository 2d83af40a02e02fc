"""Several runs beside one another, as one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from convoscope import disk
from convoscope.arrays import ByteArray
from convoscope.pictures.bars import AccuracyRow, accuracy_chart
from convoscope.pictures.curves import Colour, Curve, learning_curves
from convoscope.pictures.differences import DifferenceRow, difference_chart
from convoscope.report import wording
from convoscope.report.accuracy import accuracy_row
from convoscope.report.heads import Thumbnail, thumbnail
from convoscope.report.learning import score_of
from convoscope.report.shell import fill
from convoscope.runs.comparison import Comparison, Divided, Entry, Verdict

_COLOURS: tuple[Colour, ...] = ("blue", "orange", "green", "purple")
ALL_HEADS = "all heads"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownImage:
    """An image that one run has right and the other wrong, with its picture where there is one."""

    image: Divided
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The images that only the run ``letter`` has right, and how many of them are not shown."""

    letter: str
    images: tuple[ShownImage, ...]
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownVerdict:
    """A verdict and the images behind it."""

    verdict: Verdict
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadVerdicts:
    """All pairs on one head, or on all heads at once, and their chart."""

    name: str
    verdicts: tuple[ShownVerdict, ...]
    chart: Markup


def write(comparison: Comparison, pictures: Mapping[str, ByteArray], file: Path) -> Path:
    """Write the page, all of it or nothing; ``pictures`` (H, W, C) uint8 by the image's id.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    disk.write_text(file, render(comparison, pictures))
    return file


def render(comparison: Comparison, pictures: Mapping[str, ByteArray]) -> str:
    """The page as text."""
    return fill(
        "compare.html",
        styles=("compare.css",),
        run={"name": "comparison"},
        comparison=comparison,
        headline=headline(comparison),
        accuracy=accuracy_chart(_rows(comparison), baseline_name=""),
        heads=_heads(comparison, pictures),
        charts=_charts(comparison.entries),
    )


def headline(comparison: Comparison) -> tuple[str, ...]:
    """The sentences of the first screen: which is best, and whether that is more than noise."""
    first = [v for v in comparison.verdicts if v.head == comparison.verdicts[0].head]
    if len(first) == 1:
        evidence = first[0].evidence
        return (f"{first[0].claim}.", f"{evidence[0].upper()}{evidence[1:]}.")
    share = max(entry.metrics.whole.accuracy.value or 0.0 for entry in comparison.entries)
    best = [e for e in comparison.entries if e.metrics.whole.accuracy.value == share]
    whole = best[0].metrics.whole
    verb = "is" if len(best) == 1 else "are"
    said = (
        f"{wording.together([entry.name for entry in best])} {verb} right most often: "
        f"{wording.share(share)} of {wording.counted(whole.n, 'picture')}, interval "
        f"{wording.interval(whole.accuracy)}."
    )
    return (said, _ahead_of(comparison, first, best[0]))


def _ahead_of(comparison: Comparison, verdicts: Sequence[Verdict], best: Entry) -> str:
    """Which runs the best is ahead of by more than noise, and which it cannot be told from."""
    behind: list[str] = []
    level: list[str] = []
    for verdict in verdicts:
        if best.letter in (verdict.first, verdict.second):
            other = verdict.second if verdict.first == best.letter else verdict.first
            names = behind if verdict.is_more_than_noise else level
            names.append(comparison.entry(other).name)
    parts = []
    if behind:
        parts.append(f"{best.name} is ahead by more than noise of {wording.together(behind)}")
    if level:
        subject = "" if behind else f"{best.name} is "
        parts.append(f"{subject}not to be told apart from {wording.together(level)}")
    return f"{'; '.join(parts)}."


def _rows(comparison: Comparison) -> list[AccuracyRow]:
    found = [(entry, entry.metrics.whole.accuracy) for entry in comparison.entries]
    best = max((figure.value or 0.0) for _, figure in found)
    return [
        row
        for entry, figure in found
        for row in accuracy_row(
            f"{entry.letter}  {entry.name}", figure, is_main=figure.value == best
        )
    ]


def _heads(comparison: Comparison, pictures: Mapping[str, ByteArray]) -> tuple[HeadVerdicts, ...]:
    names = dict.fromkeys(verdict.head for verdict in comparison.verdicts)
    return tuple(
        HeadVerdicts(
            name=head or ALL_HEADS,
            verdicts=tuple(
                ShownVerdict(verdict=v, sides=_sides(v, pictures, comparison.shown_each))
                for v in comparison.verdicts
                if v.head == head
            ),
            chart=_differences([v for v in comparison.verdicts if v.head == head]),
        )
        for head in names
    )


def _sides(verdict: Verdict, pictures: Mapping[str, ByteArray], most: int) -> tuple[Side, ...]:
    both = ((verdict.first, verdict.only_first), (verdict.second, verdict.only_second))
    return tuple(
        Side(
            letter=letter,
            images=tuple(
                ShownImage(image=image, thumbnail=thumbnail(pictures, image.id))
                for image in images[:most]
            ),
            hidden=max(0, len(images) - most),
        )
        for letter, images in both
        if images
    )


def _differences(verdicts: Sequence[Verdict]) -> Markup:
    rows = [
        DifferenceRow(
            first=verdict.first,
            second=verdict.second,
            value=figure.value,
            low=figure.low,
            high=figure.high,
            is_more_than_noise=verdict.is_more_than_noise,
        )
        for verdict in verdicts
        if (figure := verdict.difference).value is not None
        and figure.low is not None
        and figure.high is not None
    ]
    return difference_chart(rows)


# -- how they learnt ------------------------------------------------------------------------------


def _charts(entries: Sequence[Entry]) -> tuple[tuple[str, Markup], ...]:
    """Loss and accuracy of all runs over one another: of validation, else of training."""
    charts = []
    for key, is_share in (("loss", False), ("accuracy", True)):
        split = "validation" if _measured(entries, f"validation_{key}") else "train"
        measured = _measured(entries, f"{split}_{key}")
        epochs = [int(epoch["epoch"]) for entry in measured for epoch in entry.history]
        if epochs:
            last = max(epochs)
            chart = learning_curves(
                list(range(1, last + 1)),
                [_curve(entries.index(entry), entry, f"{split}_{key}", last) for entry in measured],
                score=f"{split} {key}",
                unit="" if is_share else "nats",
                is_share=is_share,
            )
            charts.append((key, chart))
    return tuple(charts)


def _measured(entries: Sequence[Entry], key: str) -> list[Entry]:
    return [
        entry
        for entry in entries
        if any(math.isfinite(score_of(epoch, key)) for epoch in entry.history)
    ]


def _curve(place: int, entry: Entry, key: str, last: int) -> Curve:
    scores = {int(epoch["epoch"]): score_of(epoch, key) for epoch in entry.history}
    return Curve(
        name=entry.letter,
        values=[scores.get(epoch, math.nan) for epoch in range(1, last + 1)],
        colour=_COLOURS[place % len(_COLOURS)],
        is_dashed=place // len(_COLOURS) % 2 == 1,
    )

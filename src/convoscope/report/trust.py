"""Whether explanations can be trusted: the leaderboard of methods, and a sentence per picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from markupsafe import Markup

from convoscope.explain.scores.baselines import CENTRE
from convoscope.explain.scores.board import (
    ALIKE,
    FEWEST,
    LIKE_GRADIENT,
    NO_BETTER,
    UNCHANGED,
    Standing,
    faithfulness,
    leaderboard,
)
from convoscope.metrics.intervals import Figure
from convoscope.pictures.standings import StandingRow, signed, standings_chart
from convoscope.report import wording
from convoscope.report.looking import ShownImage, ShownTarget
from convoscope.report.shell import link
from convoscope.report.unlearnt import remainder
from convoscope.runs.explanation_files import explanations_of
from convoscope.runs.explanation_scores import ScoredImage, Scores, read_scores
from convoscope.runs.explanations import ExplainedImage

FIFTH: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRow:
    """A method's figures as words, each (figure, interval), and what speaks against it."""

    title: str
    is_baseline: bool
    marks: tuple[str, ...]
    cells: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSection:
    """The leaderboard of methods over a set of images."""

    sentence: str
    rows: tuple[TrustRow, ...]
    columns: tuple[tuple[str, str, str], ...]
    chart: Markup
    images: int
    randomised: str
    seconds: str
    page: str = ""


def trust_section(scores: Scores, *, page: str = "") -> TrustSection:
    """The leaderboard for a page; ``page`` is where the pictures are, if elsewhere."""
    rows = leaderboard(scores)
    has_objects = any(row.mass.value is not None for row in rows)
    columns = tuple(c for c in _COLUMNS if has_objects or c[0] not in ("pointing", "mass"))
    return TrustSection(
        sentence=_sentence(rows, len(scores.images)),
        rows=tuple(_row(row, scores, columns) for row in rows),
        columns=columns,
        chart=_chart(rows),
        images=len(scores.images),
        randomised=_randomised(scores),
        seconds=wording.duration(scores.seconds),
        page=page,
    )


def run_trust(run: Path, beside: Path) -> TrustSection | None:
    """The leaderboard of a run's last explanation that was scored, for a page in ``beside``;
    ``None`` without any.

    Raises:
        RunError: if the scores are not whole.
    """
    for folder in reversed(explanations_of(run)):
        scores = read_scores(folder.path)
        if scores is not None and scores.images:
            return trust_section(scores, page=link(folder.page_file, beside))
    return None


Judge: TypeAlias = Callable[[ShownImage, ExplainedImage], ShownImage]
"""Adds to an image's pictures how far they can be trusted."""


def judge_of(folder: Path) -> Judge:
    """How far the pictures of an explanation's folder can be trusted.

    Raises:
        RunError: if its scores are not whole.
    """
    scores = read_scores(folder)
    if scores is None or not scores.images:
        return lambda shown, image: shown
    standings = {row.method: row for row in leaderboard(scores) if not row.is_baseline}
    known = {image.name: image for image in scores.images}
    layer = scores.layer

    def judge(shown: ShownImage, image: ExplainedImage) -> ShownImage:
        scored = known.get(shown.name)
        if scored is None:
            return shown
        targets = (
            _judged(target, image, scored, standings, layer)
            if target.key == (scored.head, scored.class_name)
            else target
            for target in shown.targets
        )
        return replace(shown, targets=tuple(targets))

    return judge


def _judged(
    target: ShownTarget,
    image: ExplainedImage,
    scored: ScoredImage,
    standings: Mapping[str, Standing],
    layer: str,
) -> ShownTarget:
    """A class's pictures with a sentence under each whose method was scored, and a mark where it
    is no better than the centre or depends too little on what was learnt.
    """
    views = []
    for view, of in zip(target.views, image.views, strict=True):
        method = of.facts.method
        if method in standings and of.facts.layer in ("", layer):
            mark = _short_mark(scored, standings[method])
            view = replace(view, trust=in_words(scored, method), mark=mark)
        views.append(view)
    return replace(target, views=tuple(views))


def in_words(image: ScoredImage, method: str) -> str:
    """What happens to the class when the fifth of the image that a method points at most is shown
    alone, and when it is covered, beside the same for the centre.
    """
    own, centre = image.methods[method], image.methods[CENTRE]
    place = int(np.abs(np.array(own.shares) - FIFTH).argmin())
    part = "fifth" if abs(own.shares[place] - FIFTH) < 0.05 else "part"
    there, left = (wording.share(values[place]) for values in (own.insertion, own.deletion))
    place = int(np.abs(np.array(centre.shares) - FIFTH).argmin())
    of_centre = (wording.share(v[place]) for v in (centre.insertion, centre.deletion))
    shown, covered = of_centre
    return (
        f"With only its strongest {part} in focus the network gives {image.class_name} {there} "
        f"(with the centre’s {shown}); with that covered {left} is left ({covered})."
    )


def _short_mark(image: ScoredImage, row: Standing) -> str:
    words = []
    if LIKE_GRADIENT in row.marks:
        words.append("this is the plain gradient")
    if UNCHANGED in row.marks:
        assert row.unlearnt.value is not None
        words.append(remainder(row.unlearnt.value).depends)
    ahead = faithfulness(image.methods[row.method]) - faithfulness(image.methods[CENTRE])
    if NO_BETTER in row.marks:
        words.append("no better than the picture’s centre")
    elif ahead <= 0:
        words.append("here no better than the picture’s centre")
    return "; ".join(words)


def _sentence(rows: tuple[Standing, ...], images: int) -> str:
    methods = [row for row in rows if not row.is_baseline]
    best, pictures = methods[0], wording.counted(images, "picture")
    if images < FEWEST:
        return (
            f"{pictures} are too few to say which method to trust: score {FEWEST} or more."
            if images > 1
            else f"One picture is too few to say which method to trust: score {FEWEST} or more."
        )
    clear = [row for row in methods if not row.marks]
    first = f"On these {pictures} {best.title} finds best what the answers hang on."
    if not clear:
        return f"{first} But every method has a red mark: trust none of them alone."
    if len(clear) == len(methods):
        return f"{first} No method has a red mark."
    trusted = wording.together([row.title for row in clear])
    marked = len(methods) - len(clear)
    return (
        f"{first} Without a red mark: {trusted}. "
        f"{wording.counted(marked, 'method')} {'has' if marked == 1 else 'have'} one."
    )


def _row(row: Standing, scores: Scores, columns: tuple[tuple[str, str, str], ...]) -> TrustRow:
    figures = {key: getattr(row, key) for key, _, _ in columns}
    return TrustRow(
        title=row.title,
        is_baseline=row.is_baseline,
        marks=tuple(_mark(mark, row, scores) for mark in row.marks),
        cells={key: _cell(key, figure) for key, figure in figures.items()},
    )


def _mark(mark: str, row: Standing, scores: Scores) -> str:
    if mark == NO_BETTER:
        ahead = row.over_centre
        assert ahead.low is not None
        assert ahead.high is not None
        assert ahead.value is not None
        return (
            f"No better than pointing at the centre: {signed(ahead.value)} "
            f"({signed(ahead.low)} to {signed(ahead.high)})."
        )
    if mark == UNCHANGED:
        assert row.unlearnt.value is not None
        assert scores.cascading is not None
        layers = wording.together(scores.cascading.groups[0][:3])
        left = remainder(row.unlearnt.value)
        return (
            f"{left.depends[0].upper()}{left.depends[1:]}: random weights in {layers} "
            f"{left.leave} (correlation {row.unlearnt.value:.2f})."
        )
    return "Equals the plain gradient: its rule met no ReLU on the way back."


def _cell(key: str, figure: Figure) -> tuple[str, str]:
    if figure.value is None:
        return wording.UNKNOWN, ""
    if key in _SHARES:
        return wording.share(figure.value), wording.interval(figure)
    low, high = figure.low or 0.0, figure.high or 0.0
    if key == "over_centre":
        return signed(figure.value), f"{signed(low)} to {signed(high)}"
    if low < 0:
        return signed(figure.value), f"{signed(low)} to {signed(high)}"
    return f"{figure.value:.2f}", f"{low:.2f}–{high:.2f}"


def _chart(rows: tuple[Standing, ...]) -> Markup:
    drawn = [
        StandingRow(
            name=row.title,
            value=row.over_centre.value,
            low=row.over_centre.low,
            high=row.over_centre.high,
            tone="quiet" if row.is_baseline else "red" if NO_BETTER in row.marks else "blue",
        )
        for row in rows
        if row.over_centre.value is not None
        and row.over_centre.low is not None
        and row.over_centre.high is not None
    ]
    return standings_chart(
        drawn, against="the picture’s centre", unit="ahead of the centre, with interval"
    )


def _randomised(scores: Scores) -> str:
    found = scores.cascading
    if found is None:
        return ""
    count = len(next(iter(found.ranks.values()), ((),))[0])
    return (
        f"“Unlearnt” and “random” are from {count} of these pictures, spread over all; a "
        f"correlation of {ALIKE} and more counts as too little changed."
    )


_SHARES = ("drop", "increase", "pointing", "mass")
_COLUMNS = (
    ("over_centre", "ahead of centre ↑", "Insertion less deletion, less the same for the centre."),
    ("insertion", "insertion ↑", "The area under the class’s probability while the picture is "
     "brought into focus, cell by cell, what was pointed at most first."),
    ("deletion", "deletion ↓", "The same while the picture is covered with its mean colour."),
    ("drop", "drop ↓", "The share of the probability that is lost when only what is bright is "
     "shown (average drop)."),
    ("increase", "rises ↑", "How often the probability is even higher then (increase in "
     "confidence)."),
    ("stability", "stable ↑", "How alike the explanation of the same picture with a little noise "
     "is: 1 is the same order of pixels."),
    ("unlearnt", "unlearnt ↓", "How alike it is when the layers nearest to the output have "
     "random weights: a method that explains this network must change."),
    ("random", "random ↓", "How alike it is when all layers have."),
    ("pointing", "points at it ↑", "How often its highest value lies on the marked thing "
     "(pointing game)."),
    ("mass", "mass on it ↑", "How much of it lies there."),
)  # fmt: skip

"""The leaderboard: what the scores of a set of images say of each method, with intervals.

One number orders it: the area under the insertion curve less that under the deletion curve
(*faithfulness*, from -1 to 1). Methods and the centre of the image were asked about the same
images, so that their difference is taken image by image. Intervals speak of other images of the
same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.explain.scores.baselines import CENTRE
from convoscope.explain.scores.curves import area
from convoscope.metrics.intervals import UNDEFINED, Figure, bootstrap, proportion
from convoscope.runs.explanation_scores import Randomisation, Scored, Scores

FEWEST: Final = 5
"""Of fewer images nothing is claimed."""

ALIKE: Final = 0.5
"""A rank correlation from here on says: the picture has changed too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A row of the leaderboard; figures that do not apply are undefined.

    ``over_centre`` is the difference in faithfulness. ``unlearnt`` is the rank correlation with
    the picture of a network whose layers nearest to the output were randomised, ``random`` with
    that of one all of whose layers were. ``marks`` are what speaks against it.
    """

    method: str
    title: str
    is_baseline: bool
    faithfulness: Figure
    insertion: Figure
    deletion: Figure
    over_centre: Figure
    drop: Figure
    increase: Figure
    stability: Figure
    pointing: Figure
    mass: Figure
    unlearnt: Figure
    random: Figure
    marks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Every figure as ``{"value", "low", "high"}``."""
        words = {
            "method": self.method,
            "title": self.title,
            "is_baseline": self.is_baseline,
            "marks": list(self.marks),
        }
        return words | {name: getattr(self, name).to_json() for name in FIGURES}


FIGURES: Final = (
    "faithfulness",
    "insertion",
    "deletion",
    "over_centre",
    "drop",
    "increase",
    "stability",
    "pointing",
    "mass",
    "unlearnt",
    "random",
)
NO_BETTER, UNCHANGED, LIKE_GRADIENT = "no better than the centre", "depends too little", "gradient"


def leaderboard(scores: Scores) -> tuple[Standing, ...]:
    """Methods and baselines, the most faithful first."""
    rows = [_standing(name, scores) for name in (*scores.methods, *scores.baselines)]
    return tuple(sorted(rows, key=lambda row: -(row.faithfulness.value or 0.0)))


def faithfulness(scored: Scored) -> float:
    """The area under the insertion curve less that under the deletion curve, in [-1, 1]."""
    return insertion_area(scored) - deletion_area(scored)


def insertion_area(scored: Scored) -> float:
    """The area under the insertion curve, in [0, 1]."""
    return float(area(np.array(scored.insertion), np.array(scored.shares)))


def deletion_area(scored: Scored) -> float:
    """The area under the deletion curve, in [0, 1]."""
    return float(area(np.array(scored.deletion), np.array(scored.shares)))


def mean_figure(values: Sequence[float] | FloatArray) -> Figure:
    """A mean over images with its bootstrap interval; undefined of none."""
    if not len(values):
        return UNDEFINED
    numbers = np.asarray(values, dtype=np.float64)
    pairs = np.stack([numbers, np.ones(len(numbers))], axis=1)
    (interval,) = bootstrap(pairs, lambda sums: sums[:, :1] / sums[:, 1:])
    assert interval is not None, "every resample has images"
    return Figure(float(numbers.mean()), *interval)


def _standing(name: str, scores: Scores) -> Standing:
    own = [image.methods[name] for image in scores.images]
    centre = [image.methods[CENTRE] for image in scores.images]
    gains = [faithfulness(a) - faithfulness(b) for a, b in zip(own, centre, strict=True)]
    over_centre = UNDEFINED if name == CENTRE else mean_figure(gains)
    unlearnt = _alike(name, scores.cascading, 0)
    return Standing(
        method=name,
        title=scores.titles.get(name, name),
        is_baseline=name in scores.baselines,
        faithfulness=_mean(own, faithfulness),
        insertion=_mean(own, insertion_area),
        deletion=_mean(own, deletion_area),
        over_centre=over_centre,
        drop=_mean(own, lambda one: one.drop),
        increase=proportion(sum(one.increases for one in own), len(own)),
        stability=_mean(own, lambda one: one.stability),
        pointing=_mean(own, lambda one: one.pointing),
        mass=_mean(own, lambda one: one.mass),
        unlearnt=unlearnt,
        random=_alike(name, scores.cascading, -1),
        marks=()
        if name in scores.baselines
        else _marks(over_centre, unlearnt, len(own), is_plain=name in scores.like_gradient),
    )


def _mean(own: Sequence[Scored], of: Callable[[Scored], float | None]) -> Figure:
    return mean_figure([value for value in map(of, own) if value is not None])


def _alike(name: str, found: Randomisation | None, stage: int) -> Figure:
    if found is None or name not in found.ranks:
        return UNDEFINED
    return mean_figure(found.ranks[name][stage])


def _marks(
    over_centre: Figure, unlearnt: Figure, images: int, *, is_plain: bool
) -> tuple[str, ...]:
    marks = []
    if images >= FEWEST and over_centre.low is not None and over_centre.low <= 0:
        marks.append(NO_BETTER)
    if unlearnt.value is not None and unlearnt.value >= ALIKE:
        marks.append(UNCHANGED)
    if is_plain:
        marks.append(LIKE_GRADIENT)
    return tuple(marks)

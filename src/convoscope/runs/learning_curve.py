"""How much data is needed, as plain values: ways of training on growing parts of the same images.

::

    run.json            kind "learning curve", and parts: the trainings below
    plan.json           the ways and the parts, by :class:`CurvePlan`
    climbed.json        how each point that was reached ended
    split.csv           the whole split
    subsets/<part>-<seed>.csv      the split with a part of its training images
    curves/<way>/<part>/<seed>/    each a run of its own

``LearningCurves.to_json()`` is the stable form of the outcome, documented in ``docs/json.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convoscope.errors import RunError
from convoscope.metrics.intervals import Figure, Interval
from convoscope.metrics.paired import Paired
from convoscope.metrics.spread import Spread
from convoscope.runs.files import read_json, write_json
from convoscope.runs.store import Run

LEARNING_CURVE = "learning curve"
_PLAN = "plan.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way of training: ``name`` is a folder's, ``settings`` are those of its trainings alone."""

    name: str
    title: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPoint:
    """A way on a part of the training images; ``seconds`` estimated for all seeds."""

    folder: str
    way: str
    fraction: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePlan:
    """The ways, the parts of the training images, and their points, cheapest first.

    ``images`` are how many training images each part has. ``budget`` is in seconds.
    """

    ways: tuple[Way, ...]
    images: Mapping[str, int]
    points: tuple[PlannedPoint, ...]
    classes: int
    seeds: tuple[int, ...]
    threads: int
    budget: float | None

    @property
    def fractions(self) -> tuple[float, ...]:
        """The parts, the smallest first."""
        return tuple(sorted(map(float, self.images)))

    def way(self, name: str) -> Way:
        """The way of that name."""
        return next(way for way in self.ways if way.name == name)


def write_curve_plan(run: Run, plan: CurvePlan) -> None:
    """Write ``plan.json``."""
    write_json(run.path, _PLAN, {"schema_version": _SCHEMA, **asdict(plan)})


def read_curve_plan(run: Run) -> CurvePlan:
    """What is to be trained.

    Raises:
        RunError: if the file is missing, or was not written whole.
    """
    content = read_json(run.path, _PLAN)
    try:
        assert isinstance(content, dict)
        return CurvePlan(
            ways=tuple(Way(**way) for way in content["ways"]),
            images=dict(content["images"]),
            points=tuple(PlannedPoint(**point) for point in content["points"]),
            classes=int(content["classes"]),
            seeds=tuple(content["seeds"]),
            threads=int(content["threads"]),
            budget=content["budget"],
        )
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.path / _PLAN}: must say what a learning curve is made of, reading it gave "
            f"{error!r}: it was not written whole; train again with --out elsewhere"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """A way on a part of the training images, over its finished seeds.

    ``per_class`` is how many images a class has on average; accuracies are means over seeds, their
    intervals over images. ``seconds`` are those of the clock for all seeds.
    """

    fraction: float
    images: int
    per_class: float
    runs: tuple[Path, ...]
    validation: Figure
    test: Figure | None
    spread: Spread | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Its figures."""
        facts = ("fraction", "images", "per_class", "seconds")
        return {
            **{fact: getattr(self, fact) for fact in facts},
            "runs": [str(path) for path in self.runs],
            "validation_accuracy": self.validation.to_json(),
            "test_accuracy": None if self.test is None else self.test.to_json(),
            "over_seeds": None if self.spread is None else self.spread.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WayCurve:
    """A way over growing parts.

    ``last_step`` is the accuracy of the largest part less that of the one before. ``halving`` is
    how many images of each class would halve the errors if these fell on as they fell so far, with
    its interval; ``None`` where the numbers do not say.
    """

    way: Way
    points: tuple[Point, ...]
    last_step: Paired | None
    is_rising: bool
    halving: tuple[float, Interval] | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Its figures."""
        halving = self.halving and {"per_class": self.halving[0], **self.halving[1]._asdict()}
        return {
            "way": self.way.name,
            "title": self.way.title,
            "points": [point.to_json() for point in self.points],
            "last_step": None if self.last_step is None else self.last_step.to_json(),
            "is_rising": self.is_rising,
            "halving_the_errors": halving,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearningCurves:
    """All ways beside one another; ``images`` of the validation split judged them.

    ``sentence`` says how much data is needed, as far as the numbers do. ``missing`` are points
    without a result, each with its sentence; ``notes`` are sentences that a reader must not miss.
    """

    curves: tuple[WayCurve, ...]
    seeds: tuple[int, ...]
    images: int
    test_images: int
    level: float
    sentence: str
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of ``ladder --fractions ... --json``."""
        return {
            "seeds": list(self.seeds),
            "images": self.images,
            "test_images": self.test_images,
            "level": self.level,
            "curves": [curve.to_json() for curve in self.curves],
            "sentence": self.sentence,
            "missing": list(self.missing),
            "notes": list(self.notes),
        }

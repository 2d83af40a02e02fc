"""A ladder of fine-tuning strategies as plain values: what was to be climbed, and what came of it.

::

    run.json            kind "ladder", and parts: the trainings below
    plan.json           the rungs, by :class:`Plan`
    climbed.json        how each rung that was reached ended, by :class:`Attempt`
    split.csv           the one split that all share
    rungs/<backbone>/<strategy>/<seed>/   each a run of its own

``Ladder.to_json()`` is the stable form of the outcome, documented in ``docs/json.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from convoscope.errors import RunError
from convoscope.metrics.intervals import Figure
from convoscope.metrics.paired import Paired
from convoscope.metrics.spread import Spread
from convoscope.runs.files import read_json, write_json
from convoscope.runs.store import Run

LADDER = "ladder"
_PLAN, _CLIMBED = "plan.json", "climbed.json"
_SCHEMA = 1

Ending: TypeAlias = Literal["trained", "not worth it", "over budget", "failed", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRung:
    """A strategy on ``backbone``, a pretrained one or a run's; ``folder`` below the ladder's run.

    ``seconds`` are estimated for all seeds. ``feature_seconds`` of them are for features of the
    frozen ``front``, which rungs with the same one share; it is empty where nothing is frozen.
    ``settings`` are those of one training besides what all share. ``refusal`` is the sentence that
    says why it cannot be trained.
    """

    folder: str
    backbone: str
    strategy: str
    settings: Mapping[str, Any]
    seconds: float = 0.0
    feature_seconds: float = 0.0
    front: str = ""
    refusal: str | None = None

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return f"{self.backbone} {self.strategy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The rungs, cheapest first. ``budget`` is in seconds, ``None`` without one; ``threads`` is how
    many each training computes with: it decides its bytes.
    """

    rungs: tuple[PlannedRung, ...]
    seeds: tuple[int, ...]
    threads: int
    budget: float | None
    climbs_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How a rung ended: ``seconds`` of all its seeds, by the clock, features included.

    ``feature_seconds`` of them went into features of frozen layers, which later rungs share.
    """

    folder: str
    ending: Ending
    reason: str = ""
    seconds: float = 0.0
    feature_seconds: float = 0.0


def write_plan(run: Run, plan: Plan) -> None:
    """Write ``plan.json``."""
    write_json(run.path, _PLAN, {"schema_version": _SCHEMA, **asdict(plan)})


def read_plan(run: Run) -> Plan:
    """What is to be climbed.

    Raises:
        RunError: if the file is missing, or was not written whole.
    """
    content = _object(run, _PLAN)
    try:
        return Plan(
            rungs=tuple(PlannedRung(**rung) for rung in content["rungs"]),
            seeds=tuple(content["seeds"]),
            threads=int(content["threads"]),
            budget=content["budget"],
            climbs_all=bool(content["climbs_all"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _torn(run, _PLAN, error) from error


def write_attempts(run: Run, attempts: Mapping[str, Attempt]) -> None:
    """Write ``climbed.json``."""
    said = [asdict(attempt) for attempt in attempts.values()]
    write_json(run.path, _CLIMBED, {"schema_version": _SCHEMA, "attempts": said})


def read_attempts(run: Run) -> dict[str, Attempt]:
    """How the rungs that were reached ended, by folder; none before the first.

    Raises:
        RunError: if the file was not written whole.
    """
    if not (run.path / _CLIMBED).exists():
        return {}
    content = _object(run, _CLIMBED)
    try:
        return {each["folder"]: Attempt(**each) for each in content["attempts"]}
    except (KeyError, TypeError) as error:
        raise _torn(run, _CLIMBED, error) from error


def _object(run: Run, name: str) -> dict[str, Any]:
    content = read_json(run.path, name)
    if not isinstance(content, dict):
        raise _torn(run, name, TypeError(f"{type(content).__name__}"))
    return content


def _torn(run: Run, name: str, error: Exception) -> RunError:
    return RunError(
        f"{run.path / name}: must say what a ladder's rungs are, reading it gave {error!r}: it was "
        "not written whole; climb again with --out elsewhere"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rung:
    """What came of a rung, over its finished seeds.

    ``validation`` and ``test`` are mean accuracies, their intervals over images; ``spread`` of the
    former over seeds. ``learnt`` of all ``parameters`` are learnt. ``seconds`` are those of the
    clock for training all seeds, ``feature_seconds`` those that went before into features, by
    whichever rung with the same frozen part came first;
    ``peak_memory`` the most bytes that one of its training processes held.
    """

    number: int
    planned: PlannedRung
    runs: tuple[Path, ...]
    validation: Figure
    test: Figure | None
    spread: Spread | None
    validation_loss: float
    parameters: int
    learnt: int
    trained: str
    epochs: float
    seconds: float
    feature_seconds: float
    peak_memory: int | None
    failures: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return self.planned.title

    @property
    def alone(self) -> float:
        """Seconds that it would have taken without the other rungs."""
        return self.seconds + self.feature_seconds

    def to_json(self) -> dict[str, Any]:
        """Its figures."""
        facts = ("number", "validation_loss", "parameters", "trained", "epochs", "seconds")
        return {
            "backbone": self.planned.backbone,
            "strategy": self.planned.strategy,
            "runs": [str(path) for path in self.runs],
            **{fact: getattr(self, fact) for fact in facts},
            "learnt_parameters": self.learnt,
            "feature_seconds": self.feature_seconds,
            "estimated_seconds": self.planned.seconds,
            "peak_memory": self.peak_memory,
            "validation_accuracy": self.validation.to_json(),
            "over_seeds": None if self.spread is None else self.spread.to_json(),
            "test_accuracy": None if self.test is None else self.test.to_json(),
            "failures": list(self.failures),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A rung against the best of the cheaper ones, on the same validation images.

    ``p_adjusted`` allows for all the steps beside it.
    """

    number: int
    against: int
    accuracy: Paired
    p_adjusted: float
    is_more_than_noise: bool
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "rung": self.number,
            "against": self.against,
            "accuracy": self.accuracy.to_json(),
            "p_value_adjusted": self.p_adjusted,
            "is_more_than_noise": self.is_more_than_noise,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NotClimbed:
    """A rung without a result, and the sentence that says why."""

    planned: PlannedRung
    ending: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "backbone": self.planned.backbone,
            "strategy": self.planned.strategy,
            "ending": self.ending,
            "reason": self.reason,
            "estimated_seconds": self.planned.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ladder:
    """All rungs beside one another, cheapest first as estimated before.

    ``images`` of the validation split decided: the rung of number ``best`` is right most often,
    that of number ``recommended`` is the cheapest within one standard error of it. ``notes`` are
    sentences that a reader must not miss.
    """

    rungs: tuple[Rung, ...]
    steps: tuple[Step, ...]
    not_climbed: tuple[NotClimbed, ...]
    seeds: tuple[int, ...]
    images: int
    test_images: int
    level: float
    budget: float | None
    best: int
    recommended: int
    recommendation: str
    notes: tuple[str, ...]

    def numbered(self, number: int) -> Rung:
        """The rung of that number."""
        return next(rung for rung in self.rungs if rung.number == number)

    def to_json(self) -> dict[str, Any]:
        """The object of ``ladder --json``."""
        return {
            "seeds": list(self.seeds),
            "images": self.images,
            "test_images": self.test_images,
            "level": self.level,
            "budget": self.budget,
            "rungs": [rung.to_json() for rung in self.rungs],
            "steps": [step.to_json() for step in self.steps],
            "not_climbed": [each.to_json() for each in self.not_climbed],
            "best": self.best,
            "recommended": self.recommended,
            "recommendation": self.recommendation,
            "notes": list(self.notes),
        }

"""Variations of one training as plain values: what was varied, and what came of it.

::

    run.json            kind "variations", and parts: the trainings below
    variations.json     what was varied, by :class:`Plan`
    split.csv           the one split that all share
    models/             an architecture.yaml for each variant whose layers were changed
    variants/<name>/<seed>/   each a run of its own

``Variations.to_json()`` is the stable form of the outcome, documented in ``docs/json.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convoscope.errors import RunError
from convoscope.metrics.intervals import UNDEFINED, Figure
from convoscope.metrics.paired import Paired
from convoscope.metrics.spread import Spread
from convoscope.runs.files import read_json, write_json
from convoscope.runs.store import Run

VARIATIONS = "variations"
_FILE = "variations.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVariant:
    """A variant: its short name, which is a folder's, and its level of each factor.

    ``changes`` say what was changed, by address; ``refusal`` is the sentence that says why it
    cannot be trained.
    """

    name: str
    levels: Mapping[str, str]
    changes: Mapping[str, Any]
    refusal: str | None = None

    @property
    def label(self) -> str:
        """What a reader calls it."""
        return ", ".join(f"{factor} {level}" for factor, level in self.levels.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is varied, and how its trainings are computed.

    ``factors`` are the levels of each thing that is varied, the first of which the others are
    compared with. ``threads`` is how many each training computes with: it decides its bytes.
    """

    factors: Mapping[str, tuple[str, ...]]
    variants: tuple[PlannedVariant, ...]
    seeds: tuple[int, ...]
    threads: int

    @property
    def is_grid(self) -> bool:
        """Whether some variant changes several things at once."""
        return any(len(_changed(variant, self.factors)) > 1 for variant in self.variants)

    def name_of(self, variant: PlannedVariant) -> str:
        """What a reader calls a variant."""
        return short_name(variant, self.factors, is_grid=self.is_grid)

    def to_json(self) -> dict[str, Any]:
        """The object of ``variations.json``."""
        return {"schema_version": _SCHEMA, **asdict(self)}


def short_name(
    variant: PlannedVariant, factors: Mapping[str, Sequence[str]], *, is_grid: bool
) -> str:
    """A variant by all its levels or, where each changes one thing, by what it changes."""
    if is_grid or len(factors) == 1:
        return variant.label
    changed = _changed(variant, factors)
    return f"{changed[0]} {variant.levels[changed[0]]}" if changed else "as it is"


def _changed(variant: PlannedVariant, factors: Mapping[str, Sequence[str]]) -> list[str]:
    """The factors whose level is not the first."""
    return [name for name, level in variant.levels.items() if level != factors[name][0]]


def write_plan(run: Run, plan: Plan) -> None:
    """Write ``variations.json``."""
    write_json(run.path, _FILE, plan.to_json())


def read_plan(run: Run) -> Plan:
    """What the run varies.

    Raises:
        RunError: if the file is missing, or was not written whole.
    """
    content = read_json(run.path, _FILE)
    try:
        assert isinstance(content, dict)
        return Plan(
            factors={name: tuple(levels) for name, levels in content["factors"].items()},
            variants=tuple(PlannedVariant(**variant) for variant in content["variants"]),
            seeds=tuple(content["seeds"]),
            threads=int(content["threads"]),
        )
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.path / _FILE}: must say what was varied, reading it gave {error!r}: it was not "
            "written whole; vary again with --out elsewhere"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """What came of a variant, over its finished seeds.

    ``validation`` is the mean accuracy, its interval over images; ``spread`` of it over seeds.
    Losses are means per image in nats, ``gap`` the validation loss less the training loss, both
    of the kept weights. ``seconds`` and ``epochs`` are means per training; ``peak_memory`` the
    most bytes that one of its processes held. ``curves`` are means over seeds, per epoch.
    ``failures`` are sentences.
    """

    number: int
    variant: PlannedVariant
    runs: tuple[Path, ...]
    model: str
    parameters: int
    macs: int
    validation: Figure
    spread: Spread | None
    validation_loss: float
    train_accuracy: float
    train_loss: float
    epochs: float
    seconds: float
    peak_memory: int | None
    curves: Mapping[str, Sequence[float]]
    failures: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """Over-fitting: the validation loss less the training loss."""
        return self.validation_loss - self.train_loss

    def to_json(self) -> dict[str, Any]:
        """Its figures, without the curves."""
        facts = ("number", "model", "parameters", "macs", "validation_loss", "train_accuracy")
        more = ("train_loss", "gap", "epochs", "seconds", "peak_memory")
        return {
            "variant": self.variant.name,
            "levels": dict(self.variant.levels),
            "runs": [str(path) for path in self.runs],
            **{fact: getattr(self, fact) for fact in (*facts, *more)},
            "validation_accuracy": self.validation.to_json(),
            "over_seeds": None if self.spread is None else self.spread.to_json(),
            "failures": list(self.failures),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One level of a factor against the factor's first, all else equal.

    ``pairs`` are how many pairs of variants differ in this alone. ``p_adjusted`` allows for all
    the contrasts beside it. ``claim`` and ``evidence`` are the halves of a sentence.
    """

    factor: str
    level: str
    against: str
    pairs: int
    accuracy: Paired
    validation_loss: Paired
    train_loss: Paired
    p_adjusted: float
    is_more_than_noise: bool
    claim: str
    evidence: str

    @property
    def sentence(self) -> str:
        """The claim and what it rests on."""
        return f"{self.claim}: {self.evidence}."

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        paired = ("accuracy", "validation_loss", "train_loss")
        return {
            **{key: getattr(self, key) for key in ("factor", "level", "against", "pairs")},
            **{key: getattr(self, key).to_json() for key in paired},
            "p_value_adjusted": self.p_adjusted,
            "is_more_than_noise": self.is_more_than_noise,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTest:
    """A variant on the test split: the mean over its seeds, its interval over images."""

    number: int
    accuracy: Figure = UNDEFINED
    loss: float = 0.0
    images: int = 0

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self) | {"accuracy": self.accuracy.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variations:
    """All variants beside one another; the one of number ``chosen`` has the best validation.

    ``images`` of the validation split decided. ``tested`` are those that were asked for: the
    chosen one, unless somebody asked for all. ``notes`` are sentences that a reader must not miss.
    """

    factors: Mapping[str, tuple[str, ...]]
    is_grid: bool
    trained: tuple[Trained, ...]
    refused: tuple[PlannedVariant, ...]
    contrasts: tuple[Contrast, ...]
    seeds: tuple[int, ...]
    images: int
    level: float
    chosen: int
    level_with_chosen: tuple[int, ...]
    tested: tuple[OnTest, ...]
    notes: tuple[str, ...]

    def name_of(self, variant: PlannedVariant) -> str:
        """What a reader calls a variant."""
        return short_name(variant, self.factors, is_grid=self.is_grid)

    def numbered(self, number: int) -> Trained:
        """The variant of that number."""
        return next(trained for trained in self.trained if trained.number == number)

    def to_json(self) -> dict[str, Any]:
        """The object of ``vary --json``."""
        chosen = self.numbered(self.chosen)
        return {
            "factors": {name: list(levels) for name, levels in self.factors.items()},
            "seeds": list(self.seeds),
            "images": self.images,
            "level": self.level,
            "variants": [trained.to_json() for trained in self.trained],
            "refused": [{"variant": v.name, "reason": v.refusal} for v in self.refused],
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
            "chosen": chosen.variant.name,
            "not_told_apart": [self.numbered(n).variant.name for n in self.level_with_chosen],
            "tested": [
                {"variant": self.numbered(t.number).variant.name, **t.to_json()}
                for t in self.tested
            ],
            "notes": list(self.notes),
        }

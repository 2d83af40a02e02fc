"""What came of variations: each variant's figures, and what each change is worth.

Everything is computed from saved predictions. Validation images decide; test images are looked at
for the chosen variant alone, unless somebody asks for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from convoscope.architecture.analysis import analyse
from convoscope.arrays import Array
from convoscope.errors import RunError
from convoscope.jobs.vary_claims import Answers, contrasts, told_apart
from convoscope.jobs.vary_trainings import part_name
from convoscope.metrics.classification import known, losses, whole_right
from convoscope.metrics.intervals import LEVEL
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.spread import SHARE, mean_over_images, spread
from convoscope.runs import Run
from convoscope.runs.variations import (
    OnTest,
    Plan,
    PlannedVariant,
    Trained,
    Variations,
    read_plan,
)

CURVES = ("train_loss", "validation_loss", "validation_accuracy")


@dataclass(frozen=True)
class _Part:
    """One finished training, read once."""

    run: Run
    seed: int

    @cached_property
    def validation(self) -> Predictions:
        return self.run.predictions("validation")

    @cached_property
    def train(self) -> Predictions:
        return self.run.predictions("train")


def compare(run: Run, *, shows_all_tests: bool = False) -> Variations:
    """All variants of a run beside one another.

    Raises:
        RunError: if no training of it is finished.
    """
    plan = read_plan(run)
    parts = {variant.name: _finished(run, plan, variant) for variant in plan.variants}
    tried = [variant for variant in plan.variants if variant.refusal is None]
    good = [variant for variant in tried if parts[variant.name]]
    if not good:
        raise RunError(
            f"{run.path}: a comparison needs finished trainings, none of {len(tried)} variants has "
            f"one: {_first_failure(run, plan, tried)}"
        )
    answers = {variant.name: _answers(parts[variant.name]) for variant in good}
    trained = tuple(
        _trained(number, run, plan, variant, parts[variant.name], answers[variant.name])
        for number, variant in enumerate(good, start=1)
    )
    chosen = min(trained, key=lambda one: (-(one.validation.value or 0.0), one.validation_loss))
    refused = tuple(variant for variant in plan.variants if variant.refusal is not None)
    level_with = told_apart(chosen.variant.name, answers)
    return Variations(
        factors=plan.factors,
        is_grid=plan.is_grid,
        trained=trained,
        refused=refused,
        contrasts=contrasts(plan, answers),
        seeds=plan.seeds,
        images=answers[chosen.variant.name].right.shape[1],
        level=LEVEL,
        chosen=chosen.number,
        level_with_chosen=tuple(one.number for one in trained if one.variant.name in level_with),
        tested=tuple(
            tested
            for one in trained
            if one is chosen or shows_all_tests
            if (tested := _tested(one.number, parts[one.variant.name])) is not None
        ),
        notes=tuple(_notes(run, plan, tried, parts, shows_all_tests)),
    )


def _finished(run: Run, plan: Plan, variant: PlannedVariant) -> list[_Part]:
    found = []
    for seed in plan.seeds:
        part = Run(run.path / part_name(variant, seed))
        if (part.path / "run.json").exists() and part.record().status == "finished":
            found.append(_Part(part, seed))
    return found


def _answers(parts: Sequence[_Part]) -> Answers:
    ids = parts[0].validation.ids
    for part in parts:
        # One split file for all, read in one order; otherwise no image could be paired.
        assert part.validation.ids == ids, f"{part.run.path}: other validation images"
    return Answers(
        seeds=tuple(part.seed for part in parts),
        right=np.stack([whole_right(part.validation).astype(np.float64) for part in parts]),
        losses=np.stack([_image_losses(part.validation) for part in parts]),
        train_losses=np.stack([_image_losses(part.train) for part in parts]),
        train_right=np.stack([whole_right(part.train).astype(np.float64) for part in parts]),
    )


def _image_losses(predictions: Predictions) -> Array:
    """(N,) per image the loss, of all heads together; a head whose label is not known adds 0."""
    total = np.zeros(len(predictions.ids))
    for head in predictions.heads.values():
        total[head.labels >= 0] += losses(known(head))
    return total


def _trained(
    number: int,
    run: Run,
    plan: Plan,
    variant: PlannedVariant,
    parts: Sequence[_Part],
    answers: Answers,
) -> Trained:
    records = [part.run.record() for part in parts]
    analysis = analyse(parts[0].run.architecture())
    peaks = [int(record.machine.get("peak_memory_bytes") or 0) for record in records]
    accuracies = answers.right.mean(axis=1).tolist()
    return Trained(
        number=number,
        variant=variant,
        runs=tuple(part.run.path for part in parts),
        model=analysis.name,
        parameters=analysis.parameters,
        macs=analysis.macs,
        validation=mean_over_images(answers.right > 0),
        spread=spread(accuracies, limits=SHARE) if len(accuracies) > 1 else None,
        validation_loss=float(answers.losses.mean()),
        train_accuracy=float(answers.train_right.mean()),
        train_loss=float(answers.train_losses.mean()),
        epochs=float(np.mean([record.epochs for record in records])),
        seconds=float(np.mean([record.seconds for record in records])),
        peak_memory=max(peaks) or None,
        curves=_curves([part.run.history() for part in parts]),
        failures=tuple(_failures(run, plan, variant)),
    )


def _curves(histories: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, list[float]]:
    """The mean over seeds of each epoch that all of them have."""
    epochs = min(len(history) for history in histories)
    return {
        key: [
            float(np.mean([history[epoch].get(key, math.nan) for history in histories]))
            for epoch in range(epochs)
        ]
        for key in CURVES
    }


def _failures(run: Run, plan: Plan, variant: PlannedVariant) -> list[str]:
    """A sentence for each training of the variant that did not come to its end."""
    said = []
    for seed in plan.seeds:
        part = Run(run.path / part_name(variant, seed))
        if not (part.path / "run.json").exists():
            said.append(f"seed {seed}: {_note(run, part)}")
        elif (record := part.record()).status != "finished":
            reason = record.notes[-1] if record.notes else record.status
            said.append(f"seed {seed}: {reason}")
    return said


def _note(run: Run, part: Run) -> str:
    """What the run of all says of a training that left nothing behind."""
    name = part.path.relative_to(run.path).as_posix()
    for note in run.record().notes:
        if note.startswith(f"{name}: "):
            return note.removeprefix(f"{name}: ")
    return "not begun"


def _first_failure(run: Run, plan: Plan, tried: Sequence[PlannedVariant]) -> str:
    said = [reason for variant in tried for reason in _failures(run, plan, variant)]
    return said[0] if said else f"go on with  convoscope vary --resume {run.path}"


def _tested(number: int, parts: Sequence[_Part]) -> OnTest | None:
    if not all("test" in part.run.splits() for part in parts):
        return None
    said = [part.run.predictions("test") for part in parts]
    right = np.stack([whole_right(predictions) for predictions in said])
    if not right.size:
        return None
    loss = float(np.mean([_image_losses(predictions).mean() for predictions in said]))
    return OnTest(number=number, accuracy=mean_over_images(right), loss=loss, images=right.shape[1])


def _notes(
    run: Run,
    plan: Plan,
    tried: Sequence[PlannedVariant],
    parts: Mapping[str, Sequence[_Part]],
    shows_all_tests: bool,
) -> list[str]:
    notes = [str(note) for note in run.record().data.get("notes", ())]
    for variant in tried:
        for failure in _failures(run, plan, variant):
            notes.append(f"{plan.name_of(variant)}, {failure}")
    if len(plan.seeds) == 1:
        notes.append(
            "Each variant was trained with one seed: nothing here knows of the luck of training, "
            "so every claim is about these very networks."
        )
    if len(parts) > 1:
        notes.append(
            "The chosen variant has the best of several validation accuracies, which flatters it "
            "a little: its test accuracy does not know of that choice."
        )
    if shows_all_tests:
        notes.append(
            "The test figures of all variants are shown because that was asked; none of them "
            "chose anything, and none may from here on."
        )
    return notes

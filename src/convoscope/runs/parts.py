"""Runs that are made of runs: the folds of a cross-validation, one training with several seeds.

::

    run.json          kind "cross-validation" or "seeds", and parts: the folders below
    split.csv         the fold of each image; or the one split that all seeds share
    predictions/      out-of-fold.npz: each image as the fold said it that tested it
    folds/1 ...       each a run of its own; or seeds/0 ...

Every figure is computed from the parts' saved predictions.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convoscope.data.dataset import OUT_OF_FOLD
from convoscope.errors import RunError
from convoscope.metrics.classification import whole_right
from convoscope.metrics.intervals import UNDEFINED, Figure
from convoscope.metrics.spread import (
    POSITIVE,
    SHARE,
    Spread,
    accuracy_over_groups,
    mean_over_images,
    spread,
)
from convoscope.metrics.summary import SplitMetrics, summarise
from convoscope.runs.record import RunRecord
from convoscope.runs.store import Run

CROSS_VALIDATION = "cross-validation"
SEEDS = "seeds"
LOSS = "loss"
"""The only one of :func:`figures_of` that is no share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the runs, with the figures of its test split."""

    name: str
    run: Run
    record: RunRecord
    metrics: SplitMetrics

    def to_json(self) -> dict[str, Any]:
        """Its figures, and which epoch they are of."""
        figures = {name: figure.to_json() for name, figure in figures_of(self.metrics).items()}
        whole = self.metrics.whole
        epochs = {"epochs": self.record.epochs, "best_epoch": self.record.best_epoch}
        counts = {"n": whole.n, "correct": whole.correct}
        return {"part": self.name, "seed": self.record.seed, **epochs, **counts, "figures": figures}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All parts of a run together; ``over_parts`` is the spread of each figure.

    ``over_images`` is the accuracy with an interval over images: of the pooled predictions of a
    cross-validation, or of the mean over seeds. ``over_groups`` is the former with an interval
    over groups, where images belong together. ``pooled`` is ``None`` for seeds.
    """

    kind: str
    parts: tuple[Part, ...]
    over_parts: Mapping[str, Spread]
    over_images: Figure
    over_groups: Figure | None = None
    pooled: SplitMetrics | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that ``runs show --json`` has under ``parts``."""
        groups = self.over_groups
        return {
            "kind": self.kind,
            "parts": [part.to_json() for part in self.parts],
            "over_parts": {name: each.to_json() for name, each in self.over_parts.items()},
            "over_images": {"accuracy": self.over_images.to_json()},
            "over_groups": None if groups is None else {"accuracy": groups.to_json()},
        }


def parts_of(run: Run) -> tuple[Run, ...]:
    """The runs that a run is made of, whether begun or not; none for one training."""
    return tuple(Run(run.path / name) for name in run.record().parts)


def shared_training(folds: int) -> str:
    """What must be said beside the figures of ``folds`` folds: their networks are not independent.

    Source: Bengio and Grandvalet 2004, "No unbiased estimator of the variance of K-fold
    cross-validation".
    """
    share = (folds - 2) / (folds - 1)
    alike = (
        f"Any two of the {folds} networks were trained on about {100 * share:.0f}"
        "\N{NO-BREAK SPACE}% of the same pictures"
        if folds > 2
        else "What one of the two networks was trained on, the other was tested on"
    )
    return (
        f"{alike}, so they are not independent: the interval takes them as they are and asks for "
        "other test pictures, and the spread over folds is no interval of anything."
    )


def figures_of(metrics: SplitMetrics) -> dict[str, Figure]:
    """The figures that parts are compared by; with several heads, accuracy is all heads right."""
    figures = {"accuracy": metrics.whole.accuracy}
    if len(metrics.heads) == 1:
        (head,) = metrics.heads.values()
        figures |= {"balanced accuracy": head.balanced_accuracy, "macro F1": head.macro.f1}
    else:
        figures |= {f"{name} accuracy": head.accuracy for name, head in metrics.heads.items()}
    return {**figures, LOSS: metrics.loss}


def read_parts(run: Run) -> Parts:
    """The figures of a finished run's parts, together.

    Raises:
        RunError: if the run is not made of others, or one of them is not finished.
    """
    record = run.record()
    unfinished = [name for name in record.parts if "test" not in Run(run.path / name).splits()]
    if unfinished or not record.parts or record.status != "finished":
        raise RunError(
            f"{run.path}: figures of several trainings need all of them, "
            f"{len(unfinished) or 'some'} of {len(record.parts)} are not finished: go on with  "
            f"convoscope train --resume {run.path}"
        )
    parts = tuple(_part(run, name) for name in record.parts)
    over_parts = _spreads(parts)
    if record.kind == SEEDS:
        right = np.stack([whole_right(part.run.predictions("test")) for part in parts])
        return Parts(
            kind=SEEDS, parts=parts, over_parts=over_parts, over_images=mean_over_images(right)
        )
    pooled = summarise(run.predictions(OUT_OF_FOLD))
    return Parts(
        kind=CROSS_VALIDATION,
        parts=parts,
        over_parts=over_parts,
        over_images=pooled.whole.accuracy,
        over_groups=_over_groups(run),
        pooled=pooled,
    )


def tested_accuracy(run: Run) -> Figure:
    """How often all heads are right on images for testing: on average over seeds; over all folds.

    The interval is about other images. Undefined where nothing was tested yet.
    """
    record = run.record()
    tested = parts_of(run) if record.kind == SEEDS else (run,)
    split = OUT_OF_FOLD if record.kind == CROSS_VALIDATION else "test"
    right = [whole_right(each.predictions(split)) for each in tested if split in each.splits()]
    return mean_over_images(np.stack(right)) if 0 < len(right) == len(tested) else UNDEFINED


def _part(run: Run, name: str) -> Part:
    part = Run(run.path / name)
    metrics = summarise(part.predictions("test"))
    return Part(name=name, run=part, record=part.record(), metrics=metrics)


def _spreads(parts: tuple[Part, ...]) -> dict[str, Spread]:
    """The spread of each figure that two parts or more define."""
    found: dict[str, list[float]] = {}
    for part in parts:
        for name, figure in figures_of(part.metrics).items():
            if figure.value is not None:
                found.setdefault(name, []).append(figure.value)
    return {
        name: spread(values, limits=POSITIVE if name == LOSS else SHARE)
        for name, values in found.items()
        if len(values) > 1
    }


def _over_groups(run: Run) -> Figure | None:
    """The pooled accuracy with an interval over groups, where ``split.csv`` names any."""
    with run.split_file.open(encoding="utf-8", newline="") as lines:
        groups = {row["file"]: row.get("group") for row in csv.DictReader(lines)}
    predictions = run.predictions(OUT_OF_FOLD)
    names = [groups.get(id_) or "" for id_ in predictions.ids]
    if not any(names):
        return None
    known = np.logical_and.reduce([head.labels >= 0 for head in predictions.heads.values()])
    kept = [name for name, is_known in zip(names, known, strict=True) if is_known]
    return accuracy_over_groups(whole_right(predictions), kept)

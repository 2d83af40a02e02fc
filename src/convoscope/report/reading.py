"""What a report is made of, read back from a run folder: nothing here is computed twice."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convoscope.architecture.analysis import Analysis, analyse
from convoscope.arrays import ByteArray
from convoscope.errors import ReconciliationError, RunError
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.reconciliation import reconcile
from convoscope.metrics.summary import SplitMetrics, summarise
from convoscope.runs.calibration import RunCalibration, calibration_of
from convoscope.runs.record import RunRecord
from convoscope.runs.store import Run


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contents:
    """A run as its report sees it; mappings are by split, ``samples`` by the image's id."""

    name: str
    record: RunRecord
    history: Sequence[Mapping[str, Any]]
    predictions: Mapping[str, Predictions]
    metrics: Mapping[str, SplitMetrics]
    samples: Mapping[str, ByteArray]
    model: Mapping[str, Any]
    analysis: Analysis
    calibration: RunCalibration | None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in the order train, validation, test, others."""
        return tuple(self.predictions)

    @property
    def main_split(self) -> str:
        """The split whose figures count: test, or the last one where it was not tested."""
        return "test" if "test" in self.predictions else self.splits[-1]

    @property
    def shown_splits(self) -> tuple[str, ...]:
        """The splits with the one that counts first."""
        others = [split for split in reversed(self.splits) if split != self.main_split]
        return (self.main_split, *others)

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the heads."""
        return tuple(self.predictions[self.main_split].heads)


def read(run: Run) -> Contents:
    """Read all that the report shows, and compute its figures from the saved predictions.

    Raises:
        RunError: if the folder is no run, or has no predictions yet.
        ReconciliationError: if two figures disagree.
    """
    record = run.record()
    predictions = {split: run.predictions(split) for split in run.splits()}
    if not predictions:
        raise RunError(
            f"{run.path}: a report needs saved predictions, this run has none: "
            f"finish it with  convoscope train --resume {run.path}"
        )
    _check_images(run, record, predictions)
    metrics = {split: summarise(said) for split, said in predictions.items()}
    for figures in metrics.values():
        reconcile(figures)
    return Contents(
        name=run.name,
        record=record,
        history=run.history(),
        predictions=predictions,
        metrics=metrics,
        samples=run.samples(),
        model=run.model(),
        analysis=analyse(run.architecture()),
        calibration=calibration_of(run),
    )


def _check_images(run: Run, record: RunRecord, predictions: Mapping[str, Predictions]) -> None:
    """Compare the images that were predicted with those that ``split.csv`` puts in each split.

    A run that is finished has predictions for all of its splits: without those of test the report
    would give validation's figures in their place.
    """
    if not run.split_file.exists():
        return
    with run.split_file.open(encoding="utf-8", newline="") as lines:
        rows = [(row["split"], row["file"]) for row in csv.DictReader(lines)]
    asked_splits = {split for split, _ in rows}
    if record.status == "finished" and not record.parts and asked_splits - set(predictions):
        split = min(asked_splits - set(predictions))
        raise RunError(
            f"{run.path}: a finished run must have predictions for every split, "
            f"predictions/{split}.npz is missing: predict again with  convoscope evaluate "
            f"{run.path}"
        )
    for split in asked_splits & set(predictions):
        asked = {file for of, file in rows if of == split}
        said = set(predictions[split].ids)
        if asked != said:
            raise ReconciliationError(
                f"{run.path}: {split}: split.csv and the predictions must name the same images, "
                f"{len(asked ^ said)} are in one of them only, such as {min(asked ^ said)}: "
                f"predict again with  convoscope evaluate {run.path}"
            )

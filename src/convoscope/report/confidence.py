"""How sure the network may say it is: its reliability before and after a temperature, and what is
gained by keeping silent where it is not sure enough.

Temperature and thresholds are chosen on validation and judged on the split that counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from convoscope.metrics.calibration import (
    CalibrationBin,
    calibration_bins,
    calibration_error,
    gaps,
)
from convoscope.metrics.confidence import (
    Abstention,
    Temperature,
    abstain_below,
    coverage_curve,
    labelled,
    threshold_for,
)
from convoscope.metrics.predictions import HeadPredictions
from convoscope.pictures.coverage import Kept, Threshold, coverage_chart
from convoscope.pictures.reliability import Bin, reliability_diagram
from convoscope.report import wording
from convoscope.report.reading import Contents

TARGETS = (0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """A wanted accuracy, the threshold that reaches it on validation, and what it does there and
    on the split that counts; ``None`` where no threshold reaches it.
    """

    wanted: float
    chosen: Abstention | None
    judged: Abstention | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfidence:
    """One head's diagrams, on the split that counts, and its thresholds."""

    head: str
    temperature: Temperature
    sentence: str
    error_before: float
    error_after: float
    before: Markup
    after: Markup
    coverage: Markup
    thresholds: tuple[ThresholdRow, ...]


def confidence(contents: Contents) -> tuple[HeadConfidence, ...]:
    """A part per head; none for a run without a labelled validation split to choose on, or where
    validation is the split that counts.
    """
    calibration = contents.calibration
    if calibration is None or calibration.split == contents.main_split:
        return ()
    if calibration.split not in contents.predictions:
        return ()
    chosen_on = contents.predictions[calibration.split].heads
    judged_on = contents.predictions[contents.main_split].heads
    found = []
    for name, temperature in calibration.temperatures.items():
        plain = labelled(judged_on[name])
        validation = labelled(calibration.head(name, chosen_on[name]))
        if len(plain.labels) and len(validation.labels):
            cooled = labelled(calibration.head(name, judged_on[name]))
            found.append(_head(contents, name, temperature, validation, plain, cooled))
    return tuple(found)


def reliability(bins: Iterable[CalibrationBin]) -> Markup:
    """The diagram of the bins that hold any images."""
    return reliability_diagram(
        [
            Bin(b.n, b.confidence, b.accuracy)
            for b in bins
            if b.confidence is not None and b.accuracy is not None
        ]
    )


def _head(
    contents: Contents,
    name: str,
    temperature: Temperature,
    validation: HeadPredictions,
    plain: HeadPredictions,
    cooled: HeadPredictions,
) -> HeadConfidence:
    rows = tuple(_threshold(validation, cooled, wanted) for wanted in TARGETS)
    before, after = _error(plain), _error(cooled)
    return HeadConfidence(
        head=name,
        temperature=temperature,
        sentence=_sentence(temperature, before, after),
        error_before=before,
        error_after=after,
        before=reliability(calibration_bins(plain)),
        after=reliability(calibration_bins(cooled)),
        coverage=_coverage(contents.main_split, validation, cooled, rows),
        thresholds=rows,
    )


def _threshold(validation: HeadPredictions, judged: HeadPredictions, wanted: float) -> ThresholdRow:
    chosen = threshold_for(validation, wanted)
    return ThresholdRow(
        wanted=wanted,
        chosen=chosen,
        judged=None if chosen is None else abstain_below(judged, chosen.threshold),
    )


def _sentence(temperature: Temperature, before: float, after: float) -> str:
    if temperature.value == 1.0:
        return (
            "The validation split gives no reason to change how sure the network says it is: "
            "its probabilities stay as they are."
        )
    how = "less" if temperature.value > 1 else "more"
    direction = "falls" if after < before else "rises" if after > before else "stays"
    return (
        f"On {wording.counted(temperature.n, 'validation picture')} a temperature of "
        f"{wording.score(temperature.value)} fits best: divided by it, the logits are {how} sure. "
        f"No answer changes. The calibration error {direction} from {wording.share(before)} to "
        f"{wording.share(after)}."
    )


def _error(head: HeadPredictions) -> float:
    sums = gaps(head).sum(axis=0, keepdims=True)
    return float(calibration_error(sums, np.array([float(len(head.labels))]))[0])


def _coverage(
    split: str,
    validation: HeadPredictions,
    judged: HeadPredictions,
    rows: tuple[ThresholdRow, ...],
) -> Markup:
    curves = []
    for name, head, colour in (("validation", validation, "orange"), (split, judged, "blue")):
        curve = coverage_curve(head)
        curves.append(
            Kept(
                name=name,
                coverage=curve.coverage,
                accuracy=curve.accuracy,
                colour="orange" if colour == "orange" else "blue",
            )
        )
    marks = [
        Threshold(f"{100 * row.wanted:g} %", row.judged.coverage.value, row.judged.accuracy.value)
        for row in rows
        if row.judged is not None
        and row.judged.coverage.value is not None
        and row.judged.accuracy.value is not None
    ]
    return coverage_chart(curves, marks)

"""A ladder of fine-tuning strategies as one self-contained page: its rungs, steps and costs."""

from __future__ import annotations

import shlex
from pathlib import Path

from markupsafe import Markup

from convoscope import disk
from convoscope.errors import ReconciliationError
from convoscope.pictures.effects import EffectRow, effect_chart
from convoscope.report.accuracy import figure_bar
from convoscope.report.costs import cost_charts
from convoscope.report.shell import fill
from convoscope.runs.ladder import Ladder
from convoscope.runs.store import Run

_COSTS = (
    ("seconds of each alone, with its features", "alone"),
    ("learnt parameters", "learnt"),
    ("bytes of memory at most", "peak_memory"),
)


def write(run: Run, found: Ladder, file: Path | None = None) -> Path:
    """Write the run's ``report.html``, all of it or nothing.

    Raises:
        ReconciliationError: if two figures disagree.
        StorageError: if the disk is full or not writable.
    """
    page = file or run.report_file
    disk.write_text(page, render(run, found))
    return page


def render(run: Run, found: Ladder) -> str:
    """The page as text."""
    _reconcile(found)
    record = run.record()
    return fill(
        "ladder.html",
        styles=("compare.css", "vary.css", "ladder.css"),
        run={"name": run.name},
        record=record,
        found=found,
        bars={rung.number: figure_bar(rung.validation) for rung in found.rungs},
        costs=cost_charts(found.rungs, _COSTS, main=found.recommended),
        differences=_differences(found),
        command=shlex.join(record.command),
    )


def _differences(found: Ladder) -> Markup | None:
    if not found.steps:
        return None
    return effect_chart(
        [
            EffectRow(
                name=f"{step.number} {found.numbered(step.number).title} against {step.against}",
                value=step.accuracy.value,
                low=step.accuracy.interval.low,
                high=step.accuracy.interval.high,
                is_more_than_noise=step.is_more_than_noise,
            )
            for step in found.steps
        ]
    )


def _reconcile(found: Ladder) -> None:
    """Each step is the difference of two rows of the table."""
    for step in found.steps:
        one, other = found.numbered(step.number), found.numbered(step.against)
        gap = (one.validation.value or 0.0) - (other.validation.value or 0.0)
        if abs(gap - step.accuracy.value) > 1e-9:
            raise ReconciliationError(
                f"{one.title} against {other.title}: a step must be the difference of its rungs' "
                f"rows, got {step.accuracy.value} and {gap}: compare again"
            )

"""How the learning went: its curves, and every epoch as a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from convoscope.pictures.curves import Curve, learning_curves
from convoscope.report import wording
from convoscope.report.reading import Contents

_CURVES: tuple[tuple[str, Literal["orange", "blue"]], ...] = (
    ("train", "orange"),
    ("validation", "blue"),
)

STOPPED = {
    "epochs": "all epochs that were asked for were done",
    "patience": "the validation loss had not improved for as many epochs as patience allows",
    "interrupted": "it was interrupted",
    "diverged": "the loss was no longer a finite number",
    "time": "the time was up",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One epoch as a table says it."""

    epoch: int
    cells: tuple[str, ...]
    is_best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """The section's charts, its sentence, and its table."""

    sentence: str
    charts: tuple[tuple[str, Markup], ...]
    columns: tuple[str, ...]
    rows: tuple[EpochRow, ...]


def learning(contents: Contents) -> Learning | None:
    """The learning section; ``None`` for a run in which nothing was learnt."""
    history = contents.history
    if not history:
        return None
    return Learning(
        sentence=_sentence(contents),
        charts=tuple(_charts(contents)),
        columns=("train loss", "validation loss", "train accuracy", "validation accuracy", "rate"),
        rows=tuple(_row(epoch, contents.record.best_epoch) for epoch in history),
    )


def _charts(contents: Contents) -> list[tuple[str, Markup]]:
    history, best = contents.history, contents.record.best_epoch or None
    epochs = [int(epoch["epoch"]) for epoch in history]
    charts = []
    for key, is_share in (("loss", False), ("accuracy", True)):
        curves = [
            Curve(
                name=split,
                values=[score_of(epoch, f"{split}_{key}") for epoch in history],
                colour=colour,
            )
            for split, colour in _CURVES
        ]
        curves = [curve for curve in curves if any(math.isfinite(v) for v in curve.values)]
        if curves:
            chart = learning_curves(
                epochs,
                curves,
                score=key,
                unit="" if is_share else "nats",
                is_share=is_share,
                best_epoch=best,
            )
            charts.append((key, chart))
    return charts


def _sentence(contents: Contents) -> str:
    record = contents.record
    why = STOPPED.get(record.stop_reason, "")
    said = f"{wording.counted(record.epochs, 'epoch')} in {wording.duration(record.seconds)}"
    said += f"; learning ended because {why}" if why else ""
    kept = f" The weights of epoch {record.best_epoch}, the best one, are kept."
    return f"{said}.{kept if record.best_epoch else ''}"


def _row(epoch: Mapping[str, Any], best: int) -> EpochRow:
    number = int(epoch["epoch"])
    scores = [score_of(epoch, f"{split}_loss") for split in ("train", "validation")]
    shares = [score_of(epoch, f"{split}_accuracy") for split in ("train", "validation")]
    rate = epoch.get("learning_rate")
    cells = [wording.score(v if math.isfinite(v) else None) for v in scores]
    cells += [wording.share(v if math.isfinite(v) else None) for v in shares]
    cells.append(wording.score(None if rate is None else float(rate)))
    return EpochRow(epoch=number, cells=tuple(cells), is_best=number == best)


def score_of(epoch: Mapping[str, Any], key: str) -> float:
    """A score of an epoch such as ``validation_loss``; NaN where it was not measured."""
    scores = epoch.get("scores", epoch)
    value = scores.get(key)
    return float("nan") if value is None else float(value)

"""How the learning went: its curves, and every epoch as a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from convoscope.pictures.curves import Colour, Curve, PhaseBegin, learning_curves
from convoscope.report import wording
from convoscope.report.reading import Contents


class Kind(NamedTuple):
    """A curve that may be there: the key of its scores, its name, its looks."""

    key: str
    name: str
    colour: Colour
    is_dashed: bool = False


CURVES = (
    Kind("train", "train", "orange"),
    Kind("train_evaluated", "train (eval)", "orange", is_dashed=True),
    Kind("validation", "validation", "blue"),
    Kind("test", "test", "green", is_dashed=True),
)
SCORES = (("loss", False), ("accuracy", True))
"""What has a chart of its own, and whether it is a share."""
_COLUMNS = {
    "train_loss": "train loss",
    "train_evaluated_loss": "train loss (eval)",
    "validation_loss": "validation loss",
    "test_loss": "test loss",
    "train_accuracy": "train accuracy",
    "validation_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
}
_ALWAYS = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")

STOPPED = {
    "epochs": "all epochs that were asked for were done",
    "patience": "the validation loss had not improved for as many epochs as patience allows",
    "interrupted": "it was interrupted",
    "diverged": "the loss was no longer a finite number",
    "time": "the time was up",
    "solved": "its last layer was solved at once",
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
    keys = [key for key in _COLUMNS if key in _ALWAYS or _is_known(history, key)]
    return Learning(
        sentence=_sentence(contents) + _weighed(contents) + _watched(history),
        charts=tuple(_charts(contents)),
        columns=(*(_COLUMNS[key] for key in keys), "rate"),
        rows=tuple(_row(epoch, keys, contents.record.best_epoch) for epoch in history),
    )


def _charts(contents: Contents) -> list[tuple[str, Markup]]:
    history, best = contents.history, contents.record.best_epoch or None
    epochs = [int(epoch["epoch"]) for epoch in history]
    charts = []
    for key, is_share in SCORES:
        curves = [
            Curve(
                name=kind.name,
                values=[score_of(epoch, f"{kind.key}_{key}") for epoch in history],
                colour=kind.colour,
                is_dashed=kind.is_dashed,
            )
            for kind in CURVES
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
                phases=_phases(history),
            )
            charts.append((key, chart))
    return charts


def _phases(history: Sequence[Mapping[str, Any]]) -> list[PhaseBegin]:
    """Where each phase of the training began; none for a training in one go."""
    begins: dict[str, PhaseBegin] = {}
    for epoch in history:
        if name := str(epoch.get("phase") or ""):
            begins.setdefault(name, PhaseBegin(int(epoch["epoch"]), wording.phase(name)))
    return list(begins.values())


def _sentence(contents: Contents) -> str:
    record = contents.record
    why = STOPPED.get(record.stop_reason, "")
    said = f"{wording.counted(record.epochs, 'epoch')} in {wording.duration(record.seconds)}"
    said += f"{wording.features(record.features)}; learning ended because {why}" if why else ""
    kept = f" The weights of epoch {record.best_epoch}, the best one, are kept."
    return f"{said}.{kept if record.best_epoch else ''}"


def _weighed(contents: Contents) -> str:
    """A sentence where the losses here are not those of the tables, which weigh all heads alike."""
    weights = contents.record.settings.get("head_weight") or {}
    said = ", ".join(f"{head} {weight:g} times" for head, weight in weights.items())
    return f" The losses here count {said}, as it was learnt." if said else ""


def _watched(history: Sequence[Mapping[str, Any]]) -> str:
    """A sentence where more was recorded than what decides, else nothing."""
    of_test, of_train = (_is_known(history, key) for key in ("test_loss", "train_evaluated_loss"))
    if not (of_test or of_train):
        return ""
    names = "test and train" if of_test and of_train else "test" if of_test else "train"
    follow = (
        "the best epoch and the end of learning follow from the validation images alone"
        if _is_known(history, "validation_loss")
        else "the number of epochs was fixed beforehand"
    )
    evaluated = (
        " What is marked (eval) is of the weights at the end of an epoch; the train loss without "
        "it is the mean over the epoch's steps."
        if of_train
        else ""
    )
    return (
        f" The curves of the {names} images were recorded too, and no choice used them: {follow}."
        + evaluated
    )


def _is_known(history: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(math.isfinite(score_of(epoch, key)) for epoch in history)


def _row(epoch: Mapping[str, Any], keys: Sequence[str], best: int) -> EpochRow:
    number = int(epoch["epoch"])
    rate = epoch.get("learning_rate")
    cells = []
    for key in keys:
        value = score_of(epoch, key)
        say = wording.share if key.endswith("accuracy") else wording.score
        cells.append(say(value if math.isfinite(value) else None))
    cells.append(wording.UNKNOWN if rate is None else f"{rate:.3g}")
    return EpochRow(epoch=number, cells=tuple(cells), is_best=number == best)


def score_of(epoch: Mapping[str, Any], key: str) -> float:
    """A score of an epoch such as ``validation_loss``; NaN where it was not measured."""
    scores = epoch.get("scores", epoch)
    value = scores.get(key)
    return float("nan") if value is None else float(value)

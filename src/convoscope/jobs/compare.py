"""Compare trained runs on the same test images."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from convoscope.architecture.analysis import analyse
from convoscope.errors import DataError, RunError, SettingsError
from convoscope.jobs.verdicts import verdicts
from convoscope.metrics.intervals import LEVEL
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.summary import summarise
from convoscope.runs import Run, open_run
from convoscope.runs.comparison import Comparison, Entry
from convoscope.runs.splitting import hashes_of

LUCK = (
    "Intervals and tests speak of other test pictures of the same kind. They know nothing of the "
    "luck of training: for that, train each network with several seeds."
)
# These always differ, or say nothing about how a network was taught.
_NOT_COMPARED = ("data", "split", "device", "allow_leak", "skip_unreadable")
_MOST_RUNS = len(ascii_uppercase)


def compare(runs: Sequence[Run | str | Path], *, split: str = "test") -> Comparison:
    """The runs' figures on a split, and whether each two differ by more than noise.

    They must have been tested on the same images, by name, by content and by label.

    Raises:
        SettingsError: if there are fewer than two runs, or one is named twice.
        RunError: if one has no saved predictions for the split, or has lost its network's
            architecture.
        DataError: if they were tested on different images.
    """
    opened = [open_run(run) for run in runs]
    _check_runs(opened)
    said = [_predictions(run, split) for run in opened]
    hashes = [hashes_of(run, split) for run in opened]
    for (one, other), (first, second), (ours, theirs) in zip(
        itertools.combinations(opened, 2),
        itertools.combinations(said, 2),
        itertools.combinations(hashes, 2),
        strict=True,
    ):
        _check_same(f"{one.path} and {other.path}", first, second, ours, theirs)
    letters = ascii_uppercase[: len(opened)]
    names = dict(zip(letters, _names(opened), strict=True))
    entries = tuple(
        _entry(letter, names[letter], run, predictions)
        for letter, run, predictions in zip(letters, opened, said, strict=True)
    )
    heads = [head for head in said[0].heads if all(head in other.heads for other in said)]
    return Comparison(
        split=split,
        images=len(said[0].ids),
        level=LEVEL,
        entries=entries,
        verdicts=verdicts(dict(zip(letters, said, strict=True)), names, heads),
        settings=_settings(opened),
        notes=(*_notes(opened, names, hashes), LUCK),
    )


def _check_runs(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise SettingsError(
            f"a comparison needs at least two runs, got {len(runs)}: name another one"
        )
    if len(runs) > _MOST_RUNS:
        raise SettingsError(
            f"a comparison takes at most {_MOST_RUNS} runs, got {len(runs)}: leave some out"
        )
    seen: set[Path] = set()
    for run in runs:
        if run.path.resolve() in seen:
            raise SettingsError(
                f"{run.path}: a run is compared with others, this one is named twice: "
                "name each run once"
            )
        seen.add(run.path.resolve())


def _predictions(run: Run, split: str) -> Predictions:
    if split not in run.splits():
        parts = run.record().parts
        remedy = f"make them with  convoscope evaluate {run.path}"
        if parts:
            remedy = f"name one of its {len(parts)} trainings, such as {run.path / parts[0]}"
        raise RunError(
            f"{run.path}: a comparison on {split!r} needs saved predictions for it, this run has "
            f"{', '.join(run.splits()) or 'none'}: choose another --split, or {remedy}"
        )
    return run.predictions(split)


# -- the same images ------------------------------------------------------------------------------


def _check_same(
    where: str,
    first: Predictions,
    second: Predictions,
    ours: Mapping[str, str],
    theirs: Mapping[str, str],
) -> None:
    shared = set(first.ids) & set(second.ids)
    if len(shared) < max(len(first.ids), len(second.ids)):
        raise DataError(
            f"{where}: runs can be compared on the same {first.split} images only, theirs, "
            f"{len(first.ids)} and {len(second.ids)}, have {len(shared)} in common: train one "
            "with --split and the split.csv of the other"
        )
    other = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    if other:
        raise DataError(
            f"{where}: runs can be compared on the same {first.split} images only, "
            f"{len(other)} of {len(shared)} have the same name but other bytes, such as "
            f"{other[0]}: train and test both on the same files"
        )
    _check_classes(where, first, second)


def _check_classes(where: str, first: Predictions, second: Predictions) -> None:
    heads = [head for head in first.heads if head in second.heads]
    if not heads:
        raise DataError(
            f"{where}: runs can be compared on a head that both have, they have "
            f"{', '.join(first.heads)} and {', '.join(second.heads)}: compare others"
        )
    order = {name: row for row, name in enumerate(second.ids)}
    rows = [order[name] for name in first.ids]
    for head in heads:
        one, other = first.heads[head], second.heads[head]
        if one.class_names != other.class_names:
            differ = sorted(set(one.class_names) ^ set(other.class_names))
            said = (
                f"{len(differ)} names are not in both, such as {differ[0]!r}"
                if differ
                else "theirs are in another order"
            )
            raise DataError(
                f"{where}: head {head!r}: runs can be compared on the same classes only, {said}: "
                "train both on the same data"
            )
        changed = int((one.labels != other.labels[rows]).sum())
        if changed:
            raise DataError(
                f"{where}: head {head!r}: runs can be compared on the same labels only, {changed} "
                f"of {len(rows)} differ: test both again with  convoscope evaluate"
            )


# -- what is said of each run ---------------------------------------------------------------------


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names; the whole paths where two have the same one."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _entry(letter: str, name: str, run: Run, said: Predictions) -> Entry:
    record = run.record()
    analysis = analyse(run.architecture())
    return Entry(
        letter=letter,
        name=name,
        path=run.path,
        model=analysis.name,
        parameters=analysis.parameters,
        macs=analysis.macs,
        epochs=record.epochs,
        best_epoch=record.best_epoch,
        seconds=record.seconds,
        metrics=summarise(said),
        history=tuple(run.history()),
    )


def _settings(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """The settings in which the runs differ, each with a value per run."""
    asked = [run.record().settings for run in runs]
    names = dict.fromkeys(itertools.chain.from_iterable(asked))
    columns = {
        name: tuple(_written(settings.get(name)) for settings in asked)
        for name in names
        if name not in _NOT_COMPARED
    }
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def _written(value: Any) -> str:
    if value is None or value == {}:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _notes(
    runs: Sequence[Run], names: Mapping[str, str], hashes: Sequence[Mapping[str, str]]
) -> list[str]:
    notes = []
    taught = [frozenset(hashes_of(run, "train").items()) for run in runs]
    if len(set(taught)) > 1:
        notes.append(
            "The runs learnt from different training images, so that networks and data are "
            "compared together."
        )
    if not all(hashes):
        notes.append(
            "The pictures were compared by name and label alone: not every run has kept what "
            "their bytes were."
        )
    for name, run in zip(names.values(), runs, strict=True):
        status = run.record().status
        if status != "finished":
            notes.append(f"{name} is not finished ({status}): its figures may still change.")
    return notes

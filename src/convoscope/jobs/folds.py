"""Cross-validation: every image is tested once, by a network that saw neither it nor its group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from convoscope.data.cache import Decoded
from convoscope.data.copies import copies
from convoscope.data.dataset import OUT_OF_FOLD
from convoscope.data.folds import check_folds, is_divided_as_in, make_folds, write_folds
from convoscope.data.splits import Splits
from convoscope.errors import RunError, SettingsError
from convoscope.jobs.parts import Part, Plan, Watching, begin_all, go_on_with_all
from convoscope.jobs.prepare import Prepared, prepare_each, prepare_each_again
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.request import TrainRequest, defaults
from convoscope.jobs.settings import asked_out, asked_request, gathered
from convoscope.jobs.shown import write_shown
from convoscope.metrics.predictions import Predictions
from convoscope.runs import Run
from convoscope.runs.parts import CROSS_VALIDATION, parts_of
from convoscope.training.events import Listener


def cross_validate(
    data: str | Path | None = None,
    *,
    folds: int = 5,
    model: str | Path | None = None,
    settings_file: str | Path | None = None,
    out: str | Path | None = None,
    listen: Listener | None = None,
    progress: Progress = unwatched,
    should_stop: Callable[[], bool] = lambda: False,
    started: Callable[[Run], None] = lambda run: None,
    **settings: Any,
) -> Run:
    """Train ``folds`` networks, each tested on the images that it was not trained on.

    Everything but ``folds`` is as in :func:`convoscope.train`; ``started`` is given the run, then
    each fold's, which are whole runs below it. What the networks said of the images they never
    saw is saved in the run as the split ``out-of-fold``.

    Raises:
        SettingsError: if there are fewer than two folds, or a split is asked for.
        DataError: if a class has too few images, or groups, to be in every fold.
        ConvoscopeError: for anything else that one sentence explains.
    """
    check_folds(folds)
    request = gathered(data, model, settings_file, settings)
    _check_no_split(request)
    prepared = prepare_each(request, _dividing(request, folds), progress)
    watching = Watching(listen=listen, progress=progress, should_stop=should_stop, started=started)
    return begin_all(_plan(prepared), asked_out(out, settings_file), watching)


def go_on(run: Run, watching: Watching) -> Run:
    """Go on with an unfinished cross-validation: the unfinished fold first, then those not begun.

    Raises:
        RunError: if there is nothing to go on with, or the images or folds are not the same.
    """
    return go_on_with_all(run, lambda: _plan(_prepare_again(run, watching)), watching)


def _prepare_again(run: Run, watching: Watching) -> Sequence[Prepared]:
    record = run.record()
    request = asked_request(run.path, record.settings)
    divide = _dividing(request, len(record.parts))
    prepared = prepare_each_again(run, request, divide, watching.progress)
    splits = [fold.splits for fold in prepared]
    if not is_divided_as_in(run.split_file, prepared[0].dataset, splits):
        raise RunError(
            f"{run.path}: going on needs the folds that the run began with, this version of "
            f"convoscope divides the images in another way than {run.split_file.name} says: "
            "go on with the version that began it, or train again"
        )
    return prepared


def _dividing(request: TrainRequest, folds: int) -> Callable[[Decoded], Sequence[Splits]]:
    def divide(decoded: Decoded) -> Sequence[Splits]:
        return make_folds(decoded, folds=folds, seed=request.seed, validation=request.validation)

    return divide


def _plan(prepared: Sequence[Prepared]) -> Plan:
    decoded = prepared[0].decoded
    return Plan(
        kind=CROSS_VALIDATION,
        parts=_parts(prepared),
        whole=prepared[0],
        words=("--folds", str(len(prepared))),
        data={"counts": {OUT_OF_FOLD: len(decoded.dataset)}},
        write_split=lambda path: write_folds(path, decoded, [fold.splits for fold in prepared]),
        finish=lambda run: _write_pooled(run, prepared[0]),
    )


def _parts(prepared: Sequence[Prepared]) -> list[Part]:
    names = [f"folds/{number}" for number in range(1, len(prepared) + 1)]
    return [
        Part(name=name, prepared=fold, split=f"{name}/split.csv")
        for name, fold in zip(names, prepared, strict=True)
    ]


def _write_pooled(run: Run, prepared: Prepared) -> None:
    """What each fold said of its test images as one split, in the order of the data."""
    dataset = prepared.dataset
    said = [fold.predictions("test") for fold in parts_of(run)]
    pooled = pool(said, dataset.ids, groups=copies(prepared.decoded))
    run.write_predictions(pooled)
    write_shown(run, prepared.decoded, [pooled])


def pool(
    said: Sequence[Predictions], ids: Sequence[str], *, groups: tuple[str, ...] | None = None
) -> Predictions:
    """The predictions of all folds as one split, in the order of ``ids``, each image once.

    ``groups`` names for each of the ids what it belongs to.

    Raises:
        RunError: if an image was tested by no fold, or by two.
    """
    tested = [name for predictions in said for name in predictions.ids]
    place = {name: position for position, name in enumerate(tested)}
    if len(place) != len(tested) or set(place) != set(ids):
        raise RunError(
            f"every image must be tested in one fold, {len(tested)} tests are of {len(place)} "
            f"different images, and the data has {len(ids)}: train again"
        )
    order = np.array([place[name] for name in ids], dtype=np.int64)
    first = said[0].heads
    return Predictions(
        split=OUT_OF_FOLD,
        ids=tuple(ids),
        heads={
            head: replace(
                first[head],
                labels=np.concatenate([each.heads[head].labels for each in said])[order],
                logits=np.concatenate([each.heads[head].logits for each in said])[order],
            )
            for head in first
        },
        groups=groups,
    )


def _check_no_split(request: TrainRequest) -> None:
    asked = [name for name in ("split", "test") if getattr(request, name) != defaults()[name]]
    if asked:
        raise SettingsError(
            f"folds: a cross-validation tests every image in one fold, got {' and '.join(asked)} "
            "too: leave that out, or train once without folds"
        )

"""Go on with whatever was stopped: one training, a cross-validation, several seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from convoscope.errors import RunError
from convoscope.jobs import folds, seeds, train
from convoscope.jobs.parts import Watching
from convoscope.jobs.progress import Progress, unwatched
from convoscope.runs import Run, open_run
from convoscope.runs.ladder import LADDER
from convoscope.runs.learning_curve import LEARNING_CURVE
from convoscope.runs.parts import CROSS_VALIDATION, SEEDS
from convoscope.runs.variations import VARIATIONS
from convoscope.training.events import Listener


def resume(
    path: str | Path,
    *,
    listen: Listener | None = None,
    progress: Progress = unwatched,
    should_stop: Callable[[], bool] = lambda: False,
    started: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Go on with an unfinished run from its last whole epoch, with its own settings.

    It ends with the same bytes as a run that was never stopped.

    Raises:
        RunError: if there is nothing to go on with, or the images are no longer the same.
    """
    run = open_run(path)
    watching = Watching(listen=listen, progress=progress, should_stop=should_stop, started=started)
    kind = run.record().kind
    if kind == VARIATIONS:
        raise RunError(
            f"{path}: train --resume goes on with trainings of one network, these are variations: "
            f"go on with  convoscope vary --resume {path}"
        )
    if kind in (LADDER, LEARNING_CURVE):
        raise RunError(
            f"{path}: train --resume goes on with trainings of one network, this is a {kind}: go "
            f"on with  convoscope ladder --resume {path}"
        )
    if kind == CROSS_VALIDATION:
        return folds.go_on(run, watching)
    if kind == SEEDS:
        return seeds.go_on(run, watching)
    return train.resume(
        path, listen=listen, progress=progress, should_stop=should_stop, started=started
    )

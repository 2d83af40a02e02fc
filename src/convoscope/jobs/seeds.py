"""The same training with several seeds on one split: how much of a result is luck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from convoscope.data.splits import write_splits
from convoscope.errors import SettingsError
from convoscope.jobs.parts import Part, Plan, Watching, begin_all, go_on_with_all
from convoscope.jobs.prepare import Prepared, prepare, prepare_again
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.settings import asked_out, asked_request, gathered, training_settings
from convoscope.runs import Run
from convoscope.runs.parts import SEEDS
from convoscope.training.events import Listener


def repeat(
    data: str | Path | None = None,
    *,
    seeds: int = 5,
    model: str | Path | None = None,
    settings_file: str | Path | None = None,
    out: str | Path | None = None,
    listen: Listener | None = None,
    progress: Progress = unwatched,
    should_stop: Callable[[], bool] = lambda: False,
    started: Callable[[Run], None] = lambda run: None,
    **settings: Any,
) -> Run:
    """Train ``seeds`` times on the same split, with ``seed``, ``seed + 1`` and so on.

    Everything but ``seeds`` is as in :func:`convoscope.train`; ``started`` is given the run, then
    each training's, which are whole runs below it. The split is that of the first seed.

    Raises:
        SettingsError: if there are fewer than two seeds, or nothing would be tested.
        ConvoscopeError: for anything else that one sentence explains.
    """
    if seeds < 2:
        raise SettingsError(f"seeds must be at least 2 to show a spread, got {seeds}: 5 is usual")
    prepared = prepare(gathered(data, model, settings_file, settings), progress=progress)
    if not len(prepared.splits.indices["test"]):
        raise SettingsError(
            "seeds: a spread needs images to test, this split has none: give a --test above 0"
        )
    watching = Watching(listen=listen, progress=progress, should_stop=should_stop, started=started)
    return begin_all(_plan(prepared, seeds), asked_out(out, settings_file), watching)


def go_on(run: Run, watching: Watching) -> Run:
    """Go on with unfinished repetitions: the unfinished one first, then those not begun.

    Raises:
        RunError: if there is nothing to go on with, or the images are not the same.
    """

    def planned() -> Plan:
        record = run.record()
        request = asked_request(run.path, record.settings)
        prepared = prepare_again(run, request, progress=watching.progress)
        return _plan(prepared, len(record.parts))

    return go_on_with_all(run, planned, watching)


def _plan(prepared: Prepared, seeds: int) -> Plan:
    return Plan(
        kind=SEEDS,
        parts=_parts(prepared, seeds),
        whole=prepared,
        words=("--seeds", str(seeds)),
        data={},
        write_split=lambda path: write_splits(path, prepared.decoded, prepared.splits),
    )


def _parts(prepared: Prepared, seeds: int) -> list[Part]:
    first = prepared.request.seed
    return [
        Part(name=f"seeds/{seed}", prepared=_seeded(prepared, seed), split="split.csv")
        for seed in range(first, first + seeds)
    ]


def _seeded(prepared: Prepared, seed: int) -> Prepared:
    request = replace(prepared.request, seed=seed)
    return replace(prepared, request=request, settings=training_settings(request))

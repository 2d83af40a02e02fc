"""Train a network on a folder of images, into a run folder; go on with one that was stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convoscope.architecture.files import to_yaml
from convoscope.data.splits import write_splits
from convoscope.errors import ConvoscopeError, DivergedError, RunError, StorageError
from convoscope.jobs import environment
from convoscope.jobs.baseline import write_baseline
from convoscope.jobs.folder import claim
from convoscope.jobs.learning import FreshNetwork, fresh_network, teach
from convoscope.jobs.outcome import outcome_notes, write_outcome
from convoscope.jobs.prepare import Prepared, prepare, prepare_again
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.recorder import Recorder
from convoscope.jobs.settings import absolute, asked_out, asked_request, gathered
from convoscope.jobs.tuned import tuning_notes
from convoscope.runs import Run, RunRecord, open_run
from convoscope.runs.lock import holding
from convoscope.runs.record import Status
from convoscope.training.events import Event, Listener, StopReason
from convoscope.transfer.features import Features
from convoscope.transfer.freezing import frozen_file

_STATUS: Mapping[StopReason, Status] = {
    "epochs": "finished",
    "patience": "finished",
    "time": "finished",
    "solved": "finished",
    "interrupted": "interrupted",
    "diverged": "diverged",
}


def train(
    data: str | Path | None = None,
    *,
    model: str | Path | None = None,
    settings_file: str | Path | None = None,
    out: str | Path | None = None,
    listen: Listener | None = None,
    progress: Progress = unwatched,
    should_stop: Callable[[], bool] = lambda: False,
    started: Callable[[Run], None] = lambda run: None,
    **settings: Any,
) -> Run:
    """Train ``model`` on ``data`` and test it; gives back the run, finished or interrupted.

    ``settings`` are those of :class:`~convoscope.jobs.request.TrainRequest`, such as
    ``epochs=5, batch=16, seed=3``; they override those in ``settings_file``. ``listen`` is told
    what happens, ``should_stop`` asked before every step, ``started`` given the run when its
    folder is there.

    Raises:
        DivergedError: if the loss is no longer a number; the last good weights are in the run.
        ConvoscopeError: for anything else that one sentence explains.
    """
    out = asked_out(out, settings_file)
    prepared = prepare(gathered(data, model, settings_file, settings), progress=progress)
    fresh = fresh_network(prepared)
    run = claim(out, data=prepared.request.data, model=prepared.request.network)
    with holding(run.path):
        begin(run, prepared, out)
        started(run)
        return carry_out(run, prepared, fresh, listen or _ignore, progress, should_stop)


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
        RunError: if there is nothing to go on with, another process is at it already, or the
            images are no longer the same.
    """
    run = open_run(path)
    with holding(run.path):
        record = run.record()
        if record.kind != "train" or record.status in ("finished", "diverged"):
            raise RunError(f"{path}: only an unfinished training run can go on, {_ended(record)}")
        asked = asked_request(run.path, record.settings)
        prepared = prepare_again(run, asked, progress=progress)
        fresh = fresh_network(prepared)
        run.update_record(status="running")
        started(run)
        return carry_out(run, prepared, fresh, listen or _ignore, progress, should_stop)


def begin(run: Run, prepared: Prepared, out: str | Path | None) -> None:
    """Write what is known before training into the folder of a new run."""
    asked = prepared.request
    where = ("--out", str(out)) if out is not None else ()
    with _marking_failure(run):
        write_splits(run.split_file, prepared.decoded, prepared.splits)
        run.write_architecture(to_yaml(prepared.architecture), model_facts(prepared))
        if prepared.adapted is not None and prepared.adapted.last.front is not None:
            run.keep_frozen(frozen_file(prepared.adapted.last.front.parameters))
        # Last, so that a folder with run.json can always be gone on with.
        run.write_record(
            RunRecord(
                kind="train",
                settings=absolute(asked).to_json(),
                command=(*asked.command(), *where),
                seed=asked.seed,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                data=data_facts(prepared),
                features=feature_facts(prepared.features),
                versions=environment.versions(),
                machine=environment.machine(),
            )
        )


def carry_out(
    run: Run,
    prepared: Prepared,
    fresh: FreshNetwork,
    listen: Listener,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Run:
    """Teach the network and write what comes out, from wherever the run stands."""
    network, notes = fresh
    with _marking_failure(run):
        recorder = Recorder(run, listen)
        result, found = teach(network, prepared, recorder, should_stop, progress)
        if result.parameters is not None:
            write_outcome(run, prepared, network, result.parameters, progress)
            notes = (*notes, *found, *write_baseline(run, prepared, network, progress))
        warnings = (*outcome_notes(result, prepared), *tuning_notes(run, result, prepared))
        run.update_record(
            status=_STATUS[result.reason],
            epochs=result.epochs,
            best_epoch=result.best_epoch,
            stop_reason=result.reason,
            seconds=recorder.seconds or result.seconds,
            notes=(*notes, *warnings),
            warnings=warnings,
        )
    if result.divergence is not None:
        raise _at(run, result.divergence.error())
    if result.reason != "interrupted":
        run.drop_checkpoint()
    return run


def model_facts(prepared: Prepared) -> dict[str, Any]:
    """What ``model.json`` says."""
    pretrained = {"backbone": prepared.adapted.facts()} if prepared.adapted else {}
    return {
        "architecture_name": prepared.architecture.name,
        "class_names": {head: list(names) for head, names in prepared.dataset.class_names.items()},
        "factors": {head: dict(of) for head, of in prepared.dataset.factors.items()},
        "outputs": {head.name: head.output for head in prepared.architecture.heads},
        "preprocessing": asdict(prepared.preprocessing),
        "engine": prepared.request.engine,
        **pretrained,
    }


def feature_facts(features: Sequence[Features | None]) -> dict[str, Any]:
    """What a run's record says of the features of its frozen parts, each counted once."""
    found = list({id(each): each for each in features if each is not None}.values())
    if not found:
        return {}
    seconds = sum(each.seconds for each in found)
    return {
        "images": len(found[0].plain),
        "views": len(found[0].views),
        "seconds": seconds if math.isfinite(seconds) else None,
    }


def data_facts(prepared: Prepared) -> dict[str, Any]:
    """What a run's record says of its data."""
    dataset = prepared.dataset
    return {
        "name": dataset.name,
        "root": str(dataset.root.resolve()) if dataset.root else None,
        "fingerprint": prepared.decoded.fingerprint,
        "images": len(dataset),
        "counts": {split: len(found) for split, found in prepared.splits.indices.items()},
        "classes": {head: len(names) for head, names in dataset.class_names.items()},
        "is_given_split": prepared.splits.is_given,
        "notes": [*prepared.notes, *prepared.suspicions()],
    }


@contextmanager
def _marking_failure(run: Run) -> Iterator[None]:
    """Leave a trace of why the run ended, as far as the disk still lets us."""
    try:
        yield
    except StorageError as error:
        _mark(run, "failed", str(error))
        raise StorageError(f"{error}; then  convoscope train --resume {run.path}") from error
    except ConvoscopeError as error:
        _mark(run, "failed", str(error))
        raise
    except KeyboardInterrupt:
        _mark(run, "interrupted", "interrupted before its predictions were written")
        raise


def _mark(run: Run, status: Status, note: str) -> None:
    with suppress(RunError, StorageError):
        run.update_record(status=status, notes=(*run.record().notes, note))


def _at(run: Run, error: DivergedError) -> DivergedError:
    return DivergedError(f"{run.path}: {error}")


def _ended(record: RunRecord) -> str:
    match record.status:
        case "finished":
            return "this one is finished: to train it further, start a new one with --from"
        case "diverged":
            return "this one diverged: train again with a smaller --learning-rate"
        case _:
            return f"this is one of {record.kind!r}: name another"


def _ignore(event: Event) -> None:
    """Nobody listens."""

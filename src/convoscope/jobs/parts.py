"""Several trainings under one run: each a run of its own below it, one after the other.

A part that is finished is left alone and an unfinished one goes on from its last epoch, so that a
run killed anywhere ends with the bytes of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convoscope import disk
from convoscope.architecture.files import to_yaml
from convoscope.data.splits import read_splits
from convoscope.errors import ConvoscopeError, DivergedError, RunError, StorageError
from convoscope.jobs import environment
from convoscope.jobs.folder import claim
from convoscope.jobs.learning import fresh_network
from convoscope.jobs.prepare import Prepared
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.settings import absolute
from convoscope.jobs.train import begin, carry_out, data_facts, model_facts
from convoscope.runs import Run, RunRecord
from convoscope.runs.lock import holding
from convoscope.runs.parts import parts_of
from convoscope.runs.record import Status
from convoscope.training.events import Event, Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who is told what happens, and who may stop it; ``started`` is given the run, then each part
    as it begins.
    """

    listen: Listener | None = None
    progress: Progress = unwatched
    should_stop: Callable[[], bool] = lambda: False
    started: Callable[[Run], None] = lambda run: None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One training: its folder below the run, what it needs, and where its split is written."""

    name: str
    prepared: Prepared
    split: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Several trainings as one run.

    ``whole`` is what was asked for as a whole, ``words`` are those that its command needs besides,
    ``data`` what its record says of the data besides. ``finish`` is called when all is trained.
    """

    kind: str
    parts: Sequence[Part]
    whole: Prepared
    words: tuple[str, ...]
    data: Mapping[str, Any]
    write_split: Callable[[Path], None]
    finish: Callable[[Run], None] = lambda run: None


def begin_all(plan: Plan, out: str | Path | None, watching: Watching) -> Run:
    """Make the run's folder and train every part.

    Raises:
        RunError: if ``out`` is there and not empty.
        DivergedError: if a loss is no longer a number; what was learnt before is in that part.
        ConvoscopeError: for anything else that one sentence explains.
    """
    # A network that cannot be made is told before there is a folder.
    fresh_network(plan.parts[0].prepared)
    request = plan.whole.request
    run = claim(out, data=request.data, model=request.network)
    where = ("--out", str(out)) if out is not None else ()
    with holding(run.path):
        plan.write_split(run.split_file)
        run.write_architecture(to_yaml(plan.whole.architecture), model_facts(plan.whole))
        run.write_record(
            RunRecord(
                kind=plan.kind,
                settings=absolute(request).to_json(),
                command=(*request.command(), *plan.words, *where),
                seed=request.seed,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                data=data_facts(plan.whole) | dict(plan.data),
                versions=environment.versions(),
                machine=environment.machine(),
                parts=tuple(part.name for part in plan.parts),
            )
        )
        return _carry_out(run, plan, watching)


def go_on_with_all(run: Run, planned: Callable[[], Plan], watching: Watching) -> Run:
    """Go on with the unfinished part, then with those not begun.

    Raises:
        RunError: if nothing is left to do, or another process is at it already.
        ConvoscopeError: as :func:`begin_all` does.
    """
    with holding(run.path):
        check_unfinished(run)
        plan = planned()
        return _carry_out(run, plan, watching)


def check_unfinished(run: Run) -> None:
    """Refuse to go on with a run in which nothing is left to do, or nothing can be done.

    Raises:
        RunError: if the run is finished, or one of its parts diverged.
    """
    status = run.record().status
    if status == "finished":
        raise RunError(f"{run.path}: only an unfinished run can go on, this one is finished")
    if status == "diverged":
        raise RunError(
            f"{run.path}: only an unfinished run can go on, one of this run's trainings diverged: "
            "train again with a smaller --learning-rate"
        )


def _carry_out(run: Run, plan: Plan, watching: Watching) -> Run:
    """Train what is not trained yet, then finish the run, unless it is interrupted."""
    run.update_record(status="running", notes=())
    watching.started(run)
    with _marking(run):
        for part in plan.parts:
            status = _status(run.path / part.name)
            if status != "finished":
                if watching.should_stop():
                    return _ended(run, "interrupted")
                status = _train(run, part, watching)
            if status != "finished":
                return _ended(run, status)
        plan.finish(run)
        return _ended(run, "finished")


def _train(run: Run, part: Part, watching: Watching) -> Status:
    """Begin the part, or go on with it."""
    path = run.path / part.name
    request = replace(part.prepared.request, split=str(run.path / part.split))
    prepared = replace(part.prepared, request=request)
    fresh = fresh_network(prepared)
    child = Run(path)
    with disk.storing(path):
        path.mkdir(parents=True, exist_ok=True)
    with holding(path):
        if _status(path) is None:
            begin(child, prepared, path)
        else:
            splits = read_splits(child.split_file, prepared.dataset)
            prepared = replace(prepared, splits=splits)
            child.update_record(status="running")
        watching.started(child)
        listen = watching.listen or _ignore
        carry_out(child, prepared, fresh, listen, watching.progress, watching.should_stop)
    return child.record().status


def _status(path: Path) -> Status | None:
    """The status of a part, ``None`` before it has begun."""
    return Run(path).record().status if (path / "run.json").exists() else None


def _ended(run: Run, status: Status) -> Run:
    begun = [part.record() for part in parts_of(run) if (part.path / "run.json").exists()]
    run.update_record(status=status, seconds=sum(record.seconds for record in begun))
    return run


@contextmanager
def _marking(run: Run) -> Iterator[None]:
    """Leave a trace of why the run ended, as far as the disk still lets us."""
    try:
        yield
    except DivergedError as error:
        _mark(run, "diverged", str(error))
        raise
    except ConvoscopeError as error:
        _mark(run, "failed", str(error))
        raise
    except KeyboardInterrupt:
        _mark(run, "interrupted", "interrupted between two trainings")
        raise


def _mark(run: Run, status: Status, note: str) -> None:
    with suppress(RunError, StorageError):
        run.update_record(status=status, notes=(note,))


def _ignore(event: Event) -> None:
    """Nobody listens."""

"""Trainings that are runs of their own below another run: how they stand, how they are asked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from convoscope.errors import ConvoscopeError, RunError, StorageError
from convoscope.jobs.side_by_side import Ended, Task
from convoscope.runs import Run
from convoscope.runs.record import Status


def status_of(run: Run, name: str) -> Status | None:
    """The status of a training below the run, ``None`` before it has begun."""
    path = run.path / name
    return Run(path).record().status if (path / "run.json").exists() else None


def task_below(run: Run, name: str, settings: Mapping[str, Any]) -> Task:
    """The training of that name as a task: to be gone on with, or to begin with these settings."""
    path = run.path / name
    if status_of(run, name) is not None:
        return Task(name=name, out=path, settings=None)
    if path.exists():  # killed before there was anything to go on with
        shutil.rmtree(path)
    return Task(name=name, out=path, settings=settings)


def record_failure(run: Run, news: Ended) -> None:
    """A process that died could not say so in its run."""
    if status_of(run, news.task.name) == "running":
        with suppress(RunError, StorageError):
            Run(run.path / news.task.name).update_record(status="failed", notes=(str(news.reason),))


@contextmanager
def marking(run: Run) -> Iterator[None]:
    """Leave a trace of why the run ended, as far as the disk still lets us."""
    try:
        yield
    except (ConvoscopeError, KeyboardInterrupt) as error:
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(RunError, StorageError):
            if (run.path / "run.json").exists() and run.record().status == "running":
                run.update_record(status=status, notes=(str(error),) if str(error) else ())
        raise

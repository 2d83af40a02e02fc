"""Trainings side by side, each in a process of its own, as many at a time as there is room for.

A process per training keeps them apart: each computes with its own few threads, its peak memory is
its own, and one that the system kills takes no other with it.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

_LOOK_SECONDS = 0.1
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A training: its name here, its run folder, and its settings, ``None`` to go on with it."""

    name: str
    out: Path
    settings: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a training's process ended: the run's status, and a sentence if that is no good one."""

    task: Task
    status: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A training has done so many of its epochs."""

    task: Task
    done: float
    epochs: int


News: TypeAlias = Moved | Ended


def side_by_side(
    tasks: Sequence[Task],
    *,
    jobs: int,
    threads: int,
    tell: Callable[[News], None],
    should_stop: Callable[[], bool],
) -> None:
    """Carry the tasks out in their order, ``jobs`` at a time, ``threads`` each.

    Asked to stop, those that run stop cleanly and the others do not begin. Ends when no process
    of ours is left, whatever happens.
    """
    waiting = list(reversed(tasks))
    news: queue.Queue[News] = queue.Queue()
    with _processes() as running:
        while waiting or running:
            if should_stop():
                waiting.clear()
                for process in running.values():
                    _end_input(process)
            while waiting and len(running) < jobs:
                task = waiting.pop()
                running[task.name] = _start(task, threads, news)
            _hear(news, running, tell)


def _hear(
    news: queue.Queue[News], running: dict[str, subprocess.Popen[str]], tell: Callable[[News], None]
) -> None:
    """Tell what the processes said meanwhile."""
    try:
        said = news.get(timeout=_LOOK_SECONDS)
    except queue.Empty:
        return
    if isinstance(said, Ended):
        process = running.pop(said.task.name)
        _end_input(process)
        process.wait()
    tell(said)


@contextmanager
def _processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """The processes that run, by the name of their task; none of them outlives the block."""
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        yield running
    finally:
        for process in running.values():
            _end_input(process)
        for process in running.values():
            process.wait()


def _start(task: Task, threads: int, news: queue.Queue[News]) -> subprocess.Popen[str]:
    # Closed by the thread that follows the process.
    errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-m", "convoscope.jobs.vary_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        encoding="utf-8",
        env=os.environ | dict.fromkeys(_THREADS, str(threads)),
        # A group of its own: Ctrl-C reaches whoever asked for all this, who then stops it cleanly.
        start_new_session=True,
    )
    assert process.stdin is not None
    with suppress(OSError):  # it is gone already; its exit says why
        process.stdin.write(json.dumps({"out": str(task.out), "settings": task.settings}) + "\n")
        process.stdin.flush()
    threading.Thread(target=_follow, args=(process, task, errors, news), daemon=True).start()
    return process


def _follow(
    process: subprocess.Popen[str], task: Task, errors: IO[str], news: queue.Queue[News]
) -> None:
    """Pass on what the process says, and say how it ended."""
    assert process.stdout is not None
    ended: dict[str, Any] | None = None
    with process.stdout, suppress(ValueError):  # half a line, for it died: its exit says more
        for line in process.stdout:
            said = json.loads(line)
            if "status" in said:
                ended = said
            else:
                news.put(Moved(task=task, done=said["done"], epochs=said["epochs"]))
    code = process.wait()
    with errors:
        ended = ended or {"status": "failed", "reason": _why(code, errors)}
    news.put(Ended(task=task, **ended))


def _why(code: int, errors: IO[str]) -> str:
    """A sentence for a process that ended without one."""
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    last = f", saying {lines[-1]!r}" if lines else ""
    if code < 0:
        return (
            f"its process was ended by signal {-code}{last}: where that is 9 the memory may have "
            "been too small, use fewer --jobs"
        )
    return f"its process ended with exit code {code}{last}"


def _end_input(process: subprocess.Popen[str]) -> None:
    """Ask a process to stop after its step."""
    if process.stdin is not None and not process.stdin.closed:
        with suppress(OSError):  # it is gone already
            process.stdin.close()

"""Trainings one after the other, each in a process of its own, until they are done or time is up.

What is finished is left alone, what was stopped goes on from its last epoch, so that a ladder
killed anywhere can be climbed on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from convoscope.errors import ConvoscopeError, SettingsError
from convoscope.jobs.below import record_failure, status_of, task_below
from convoscope.jobs.prepare import prepare
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.settings import absolute
from convoscope.jobs.side_by_side import Ended, News, Task, side_by_side
from convoscope.runs import Run
from convoscope.runs.ladder import Attempt

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who is told what happens, and who may stop it; ``say`` is given a sentence for people,
    ``begun`` the run when its folder is there.
    """

    begun: Callable[[Run], None] = lambda run: None
    say: Callable[[str], None] = lambda sentence: None
    news: Callable[[News], None] = lambda news: None
    progress: Progress = unwatched
    should_stop: Callable[[], bool] = lambda: False


UNWATCHED = Watching()
"""Nobody looks."""


@dataclass(slots=True)
class Clock:
    """How long it may go on: ``budget`` in seconds of which ``spent`` were spent before."""

    budget: float | None
    spent: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Spent until now."""
        return self.spent + time.monotonic() - self.began

    def left(self) -> float | None:
        """Seconds left; ``None`` where there is no end."""
        return None if self.budget is None else self.budget - self.seconds()

    def is_over(self) -> bool:
        """Whether nothing is left."""
        left = self.left()
        return left is not None and left <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How trainings ended: each that failed with its sentence; whether all came to an end."""

    failures: Mapping[str, str]
    is_whole: bool


def budget_seconds(text: str | None) -> float | None:
    """The seconds in ``30m``, ``1h30m`` or ``90s``; ``None`` for none.

    Raises:
        SettingsError: if it is no duration above 0.
    """
    if text is None:
        return None
    total, number = 0.0, ""
    for letter in text.strip().lower().replace(" ", ""):
        if letter in _UNITS and _is_number(number):
            total, number = total + float(number) * _UNITS[letter], ""
        else:
            number += letter
    if number or not total > 0:
        raise SettingsError(
            f"--budget: must be a duration above 0, got {text!r}: write it as 90s, 30m or 1h30m"
        )
    return total


def about(seconds: float) -> str:
    """A duration as one says it beforehand: ``12 s``, ``3 min``, ``1.5 h``."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def train_each(
    run: Run,
    asked: Mapping[str, TrainRequest],
    *,
    threads: int,
    clock: Clock,
    watching: Watching,
) -> Outcome:
    """Train each request, by its folder below the run, that is not finished yet."""
    failures: dict[str, str] = {}

    def hear(news: News) -> None:
        if isinstance(news, Ended) and news.reason is not None:
            failures[news.task.name] = news.reason
            record_failure(run, news)
        watching.news(news)

    side_by_side(
        [_task(run, name, request) for name, request in asked.items() if _is_left(run, name)],
        jobs=1,
        threads=threads,
        tell=hear,
        should_stop=lambda: watching.should_stop() or clock.is_over(),
    )
    left = [name for name in asked if _is_left(run, name) and name not in failures]
    return Outcome(failures=failures, is_whole=not left)


def attempted(
    run: Run,
    folder: str,
    asked: Mapping[str, TrainRequest],
    *,
    threads: int,
    clock: Clock,
    watching: Watching,
) -> Attempt | None:
    """Prepare what all of ``asked`` share, and train each; ``None`` if that was interrupted."""
    began = time.monotonic()
    try:
        # Computes the features that all seeds share, where the person sees how far it is.
        prepare(next(iter(asked.values())), progress=watching.progress)
    except ConvoscopeError as error:
        return Attempt(folder=folder, ending="failed", reason=str(error))
    features = time.monotonic() - began
    outcome = train_each(run, asked, threads=threads, clock=clock, watching=watching)
    attempt = Attempt(
        folder=folder,
        ending="trained",
        seconds=time.monotonic() - began,
        feature_seconds=features,
        reason="; ".join(dict.fromkeys(outcome.failures.values())),
    )
    if not outcome.is_whole:
        reason = "the time was up while it was trained; go on with --resume and a --budget"
        return replace(attempt, ending="over budget", reason=reason) if clock.is_over() else None
    return attempt if finished(run, list(asked)) else replace(attempt, ending="failed")


def finished(run: Run, names: Sequence[str]) -> list[Run]:
    """Those of the trainings that are finished."""
    return [Run(run.path / name) for name in names if status_of(run, name) == "finished"]


def _is_left(run: Run, name: str) -> bool:
    return status_of(run, name) not in ("finished", "diverged")


def _task(run: Run, name: str, request: TrainRequest) -> Task:
    split = Path(request.split or run.split_file)
    return task_below(run, name, absolute(replace(request, split=str(split))).to_json())

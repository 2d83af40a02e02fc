"""Live progress of a training run: a bar on a terminal, plain lines anywhere else, or nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from convoscope.report import wording
from convoscope.training.events import (
    EpochEnded,
    Event,
    StepsDone,
    TrainingEnded,
    TrainingStarted,
)

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_WORTH_A_WORD = 0.02


class Display(Protocol):
    """Shows what a job does; a context manager."""

    def event(self, event: Event) -> None:
        """Show what training tells."""
        ...

    def stage(self, name: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` images of another stage (``"decoding"``) are through."""
        ...

    def say(self, sentence: str) -> None:
        """Show a sentence of the job."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def display(console: Console, *, is_quiet: bool) -> Display:
    """The display that suits where the program's words go."""
    if is_quiet:
        return Silence()
    return Bars(console) if console.is_terminal else Lines(console)


class Silence:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """Nothing."""

    def stage(self, name: str, done: int, total: int) -> None:
        """Nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None


class Clock:
    """How long the rest of a training run takes, from the steps since it began."""

    def __init__(self, started: TrainingStarted, *, now: float) -> None:
        self._started, self._since = started, now

    def steps_done(self, event: StepsDone) -> int:
        """Steps since the start or the resumption."""
        return (event.epoch - self._started.first_epoch) * self._started.steps_per_epoch + (
            event.step
        )

    def seconds_left(self, event: StepsDone, *, now: float) -> float:
        """At most: stopping early makes it less."""
        total = (self._started.epochs - self._started.first_epoch + 1) * (
            self._started.steps_per_epoch
        )
        done = self.steps_done(event)
        return (now - self._since) / max(done, 1) * (total - done)


class Pace:
    """How long an image of a stage takes, from those done since one looks."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[int, float]] = {}
        self._done: dict[str, int] = {}

    def facts(self, stage: str, done: int, total: int, *, now: float) -> str:
        """``0.3 s an image, 1 min left``; nothing where images take no time worth a word."""
        if done < self._done.get(stage, 0):  # the same stage, of something else
            del self._began[stage]
        self._done[stage] = done
        first, since = self._began.setdefault(stage, (done, now))
        seconds = (now - since) / max(done - first, 1)
        if stage.endswith(")") or done >= total or seconds < _SECONDS_WORTH_A_WORD:
            return ""
        return f"{seconds:.2g} s an image, {duration(seconds * (total - done))} left"


class Bars:
    """A bar for the stage at hand, and a line for each epoch above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: TrainingStarted | None = None
        self._clock: Clock | None = None
        self._pace = Pace()

    def event(self, event: Event) -> None:
        """Move the bar, or print an epoch's line."""
        match event:
            case TrainingStarted():
                self._started, self._clock = event, Clock(event, now=time.monotonic())
                self._console.print(started_line(event))
            case StepsDone() if self._started is not None and self._clock is not None:
                left = self._clock.seconds_left(event, now=time.monotonic())
                name = f"epoch {event.epoch}/{self._started.epochs}"
                self._move(name, event.step, self._started.steps_per_epoch, step_facts(event, left))
            case EpochEnded() if self._started is not None:
                self._clear()
                self._console.print(epoch_line(event, self._started.epochs))
            case TrainingEnded():
                self._clear()
                self._console.print(ended_line(event))
            case _:
                pass

    def stage(self, name: str, done: int, total: int) -> None:
        """Move the stage's bar; it goes when all is done."""
        self._move(name, done, total, self._pace.facts(name, done, total, now=time.monotonic()))
        if done >= total:
            self._clear()

    def say(self, sentence: str) -> None:
        """Print the sentence above the bar."""
        self._console.print(sentence)

    def _move(self, name: str, done: int, total: int, facts: str) -> None:
        if name not in self._tasks:
            self._clear()
            self._tasks[name] = self._progress.add_task(name, total=total, facts=facts)
        self._progress.update(self._tasks[name], completed=done, total=total, facts=facts)

    def _clear(self) -> None:
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._tasks.clear()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()


class Lines:
    """A line per epoch, and one every ten seconds within a long one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = time.monotonic()
        self._finished: tuple[str, int] | None = None
        self._started: TrainingStarted | None = None
        self._clock: Clock | None = None
        self._pace = Pace()

    def event(self, event: Event) -> None:
        """Print what is worth a line."""
        match event:
            case TrainingStarted():
                self._started, self._clock = event, Clock(event, now=time.monotonic())
                self.say(started_line(event))
            case StepsDone() if self._clock is not None and self._is_time():
                left = self._clock.seconds_left(event, now=time.monotonic())
                self.say(f"epoch {event.epoch} step {event.step}  {step_facts(event, left)}")
            case EpochEnded() if self._started is not None:
                self.say(epoch_line(event, self._started.epochs))
            case TrainingEnded():
                self.say(ended_line(event))
            case _:
                pass

    def stage(self, name: str, done: int, total: int) -> None:
        """Print a line when the stage is through, and every ten seconds before."""
        facts = self._pace.facts(name, done, total, now=time.monotonic())
        if done < total and self._is_time():
            self.say(f"{name} {done:,} of {total:,}" + (f", {facts}" if facts else ""))
        elif done == total and self._finished != (name, total):
            self._finished = (name, total)
            what = "" if name.endswith(")") else " images"  # "(MB)", where it is no images
            self.say(f"{name} {total:,}{what} done")

    def say(self, sentence: str) -> None:
        """Print the sentence."""
        self._console.print(sentence, soft_wrap=True)

    def _is_time(self) -> bool:
        if time.monotonic() - self._last < _SECONDS_BETWEEN_LINES:
            return False
        self._last = time.monotonic()
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None


def started_line(event: TrainingStarted) -> str:
    """What is about to happen."""
    again = f", going on with epoch {event.first_epoch}" if event.first_epoch > 1 else ""
    return (
        f"training on {event.images:,} images, {event.steps_per_epoch:,} steps an epoch, "
        f"at most {wording.counted(event.epochs, 'epoch')}{again}"
    )


def step_facts(event: StepsDone, seconds_left: float) -> str:
    """Loss, speed and time left."""
    return (
        f"loss {event.loss:.4f}  {event.images_per_second:,.0f} images/s  "
        f"{duration(seconds_left)} left"
    )


def epoch_line(event: EpochEnded, epochs: int) -> str:
    """An epoch's losses, accuracies and time."""
    return (
        f"epoch {event.epoch:>{len(str(epochs))}}/{epochs}  {_scores(event.scores)}  "
        f"{duration(event.seconds)}{'  best' if event.is_best else ''}"
    )


def ended_line(event: TrainingEnded) -> str:
    """Why training ended and which epoch is kept."""
    reason = {
        "epochs": "all epochs done",
        "patience": "stopped early: no better validation loss",
        "interrupted": "interrupted",
        "diverged": "the loss is no longer a number",
        "time": "out of time",
    }[event.reason]
    kept = f", keeping epoch {event.best_epoch}" if event.best_epoch else ""
    count = wording.counted(event.epochs, "epoch")
    return f"{reason} after {count} and {duration(event.seconds)}{kept}"


def duration(seconds: float) -> str:
    """As reports say it, with plain spaces."""
    return wording.duration(seconds).replace("\N{NO-BREAK SPACE}", " ")


def _scores(scores: Mapping[str, float]) -> str:
    """``loss 0.5  validation loss 0.6, accuracy 0.7``: each split's scores together.

    With several heads ``all right 0.7 (colour 0.9, angle 0.8)``.
    """
    splits: dict[str, list[str]] = {}
    for name, value in scores.items():
        split, _, score = name.partition("_")
        if "/" in score:
            continue
        heads = {n.rpartition("/")[2]: v for n, v in scores.items() if n.startswith(f"{name}/")}
        said = f"{score.replace('_', ' ')} {value:.4f}"
        if heads:
            each = ", ".join(f"{head} {right:.4f}" for head, right in heads.items())
            said = f"all right {value:.4f} ({each})"
        splits.setdefault(split, []).append(said)
    return "  ".join(
        ("" if split == "train" else f"{split} ") + ", ".join(said)
        for split, said in splits.items()
    )

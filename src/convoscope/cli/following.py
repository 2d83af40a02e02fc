"""Many trainings below one run, followed on the terminal: one bar, a clean stop on Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from convoscope.cli import tables
from convoscope.cli.interrupt import Stopper, stopping_on_ctrl_c
from convoscope.cli.progress import Display, display
from convoscope.runs import Run

_WHOLE = 1000  # a bar of whole numbers for parts of epochs


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """What is shown while trainings go on, and who may stop them."""

    show: Display
    stopper: Stopper
    has_bar: bool

    def begins(self, *lines: str) -> None:
        """From here on Ctrl-C stops cleanly; the lines say where it all goes."""
        self.stopper.is_training = True
        for line in lines:
            self.show.say(line)

    def share(self, done: float) -> None:
        """Move the bar to a share from 0 to 1; only the end of the work fills it."""
        if self.has_bar:
            self.show.stage("training, per mille", min(_WHOLE - 1, int(_WHOLE * done)), _WHOLE)


@contextmanager
def following(*, is_quiet: bool) -> Iterator[Following]:
    """While inside, progress is shown on stderr and Ctrl-C is a wish to stop."""
    console = tables.console(is_error=True)
    with stopping_on_ctrl_c() as stopper, display(console, is_quiet=is_quiet) as show:
        yield Following(show=show, stopper=stopper, has_bar=console.is_terminal)


def say_interrupted(run: Run, command: str) -> None:
    """Say where a stopped run is, and how the command goes on with it."""
    tables.say(f"run     {run.path}")
    tables.say(f"interrupted; go on with  convoscope {command} --resume {run.path}")

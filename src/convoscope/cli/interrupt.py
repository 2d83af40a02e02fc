"""Ctrl-C while training: the first stops cleanly at the step, the second quits at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from convoscope.training.events import Event, TrainingEnded, TrainingStarted


@dataclass(slots=True)
class Stopper:
    """Knows whether the user asked to stop; ``is_training`` while a clean stop means anything."""

    is_training: bool = False
    is_asked: bool = False

    def listen(self, event: Event) -> None:
        """Follow when training begins and ends."""
        if isinstance(event, TrainingStarted):
            self.is_training = True
        elif isinstance(event, TrainingEnded):
            self.is_training = False

    def should_stop(self) -> bool:
        """What the training loop asks after each step."""
        return self.is_asked

    def interrupt(self, signal_number: int, frame: FrameType | None) -> None:
        """Take note of the first Ctrl-C while training; any other one ends the program.

        Raises:
            KeyboardInterrupt: outside training, and the second time.
        """
        if self.is_asked or not self.is_training:
            raise KeyboardInterrupt
        self.is_asked = True
        print(
            "\nstopping after this step and keeping the best epoch; Ctrl-C again quits at once",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def stopping_on_ctrl_c() -> Iterator[Stopper]:
    """While inside, Ctrl-C asks the stopper; afterwards it does what it did before."""
    stopper = Stopper()
    before = signal.signal(signal.SIGINT, stopper.interrupt)
    try:
        yield stopper
    finally:
        signal.signal(signal.SIGINT, before)

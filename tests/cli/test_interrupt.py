"""The first Ctrl-C while training asks to stop, any other one quits."""

from __future__ import annotations

import os
import signal

import pytest

from convoscope.cli.interrupt import stopping_on_ctrl_c
from convoscope.training.events import TrainingEnded, TrainingStarted

STARTED = TrainingStarted(epochs=1, first_epoch=1, steps_per_epoch=1, images=1)
ENDED = TrainingEnded(reason="epochs", epochs=1, best_epoch=1, seconds=0.0)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_asks_and_the_second_quits(capsys: pytest.CaptureFixture[str]) -> None:
    with stopping_on_ctrl_c() as stopper:
        stopper.listen(STARTED)
        assert not stopper.should_stop()
        press_ctrl_c()
        assert stopper.should_stop()
        assert "stopping after this step" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()


def test_outside_training_it_quits_at_once() -> None:
    with stopping_on_ctrl_c() as stopper:
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        stopper.listen(STARTED)
        stopper.listen(ENDED)
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        assert not stopper.should_stop()


def test_afterwards_ctrl_c_does_what_it_did_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping_on_ctrl_c():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before

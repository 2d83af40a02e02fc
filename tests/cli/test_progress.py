"""Progress says loss, accuracy, speed and time left; plain lines where there is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from convoscope.cli.progress import (
    Bars,
    Clock,
    Display,
    Lines,
    Pace,
    Silence,
    display,
    duration,
    ended_line,
)
from convoscope.training.events import EpochEnded, StepsDone, TrainingEnded, TrainingStarted

STARTED = TrainingStarted(epochs=12, first_epoch=3, steps_per_epoch=10, images=300)
STEP = StepsDone(epoch=4, step=5, loss=0.51234, images_per_second=1234.5)
EPOCH = EpochEnded(
    epoch=4,
    scores={
        "train_loss": 0.5,
        "validation_loss": 0.6,
        "validation_accuracy": 0.75,
        "validation_accuracy/colour": 0.9,
    },
    learning_rate=0.001,
    seconds=75,
    is_best=True,
)
ENDED = TrainingEnded(reason="patience", epochs=4, best_epoch=4, seconds=9.94)


def shown(kind: type[Lines] | type[Bars], *, is_terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=120, force_terminal=is_terminal, markup=False, highlight=False
    )
    with kind(console) as show:
        show.say("run runs/a[b]-1")
        for done in (1, 2, 3, 3):
            show.stage("decoding", done, 3)
        for event in (STARTED, STEP, EPOCH, ENDED):
            show.event(event)
    return stream.getvalue()


def test_without_a_terminal_there_are_plain_lines() -> None:
    assert shown(Lines, is_terminal=False).splitlines() == [
        "run runs/a[b]-1",
        "decoding 3 images done",
        "training on 300 images, 10 steps an epoch, at most 12 epochs, going on with epoch 3",
        "epoch  4/12  loss 0.5000  validation loss 0.6000, "
        "all right 0.7500 (colour 0.9000)  1 min 15 s  best",
        "stopped early: no better validation loss after 4 epochs and 9.9 s, keeping epoch 4",
    ]


def test_a_long_epoch_gets_a_line_with_loss_speed_and_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("convoscope.cli.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with Lines(Console(file=stream, width=120)) as show:
        show.event(STARTED)
        now[0] = 30.0
        show.event(STEP)
        show.event(STEP)
    line = stream.getvalue().splitlines()[1:]
    assert line == ["epoch 4 step 5  loss 0.5123  1,234 images/s  2 min 50 s left"]


def test_on_a_terminal_the_epochs_stand_above_the_bar() -> None:
    text = shown(Bars, is_terminal=True)
    assert "epoch  4/12  loss 0.5000" in text
    assert "run runs/a[b]-1" in text


def test_the_display_suits_where_it_goes() -> None:
    stream = io.StringIO()
    kinds: list[type[Display]] = [
        type(display(Console(file=stream, force_terminal=True), is_quiet=False)),
        type(display(Console(file=stream), is_quiet=False)),
        type(display(Console(file=stream), is_quiet=True)),
    ]
    assert kinds == [Bars, Lines, Silence]


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Silence() as show:
        show.event(STARTED)
        show.stage("decoding", 1, 1)
        show.say("x")
    assert capsys.readouterr() == ("", "")


def test_time_left_counts_the_steps_since_the_resumption() -> None:
    clock = Clock(STARTED, now=100.0)
    assert clock.steps_done(STEP) == 15
    assert clock.seconds_left(STEP, now=115.0) == pytest.approx(85.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (9.96, "10.0 s"),
        (42.4, "42 s"),
        (59.7, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_every_reason_to_end_is_said() -> None:
    for reason, words in {
        "epochs": "all epochs done",
        "interrupted": "interrupted",
        "diverged": "the loss is no longer a number",
        "time": "out of time",
    }.items():
        event = TrainingEnded(reason=reason, epochs=0, best_epoch=0, seconds=1)  # type: ignore[arg-type]
        assert ended_line(event) == f"{words} after 0 epochs and 1.0 s"


def test_one_epoch_is_no_epochs() -> None:
    event = TrainingEnded(reason="epochs", epochs=1, best_epoch=1, seconds=1)
    assert ended_line(event) == "all epochs done after 1 epoch and 1.0 s, keeping epoch 1"


def test_a_slow_stage_says_how_long_an_image_takes() -> None:
    pace = Pace()
    assert pace.facts("features", 16, 350, now=0.0) == ""
    assert pace.facts("features", 48, 350, now=9.6) == "0.3 s an image, 1 min 31 s left"
    assert pace.facts("features", 350, 350, now=99.0) == ""


def test_a_quick_stage_and_one_that_counts_no_images_say_nothing_of_it() -> None:
    pace = Pace()
    for stage, seconds in (("decoding", 0.1), ("fetching a.zip (MB)", 100)):
        pace.facts(stage, 0, 100, now=0.0)
        assert pace.facts(stage, 50, 100, now=seconds) == ""


def test_a_stage_that_comes_again_is_timed_anew() -> None:
    pace = Pace()
    pace.facts("features", 0, 10, now=0.0)
    pace.facts("features", 10, 10, now=20.0)
    assert pace.facts("features", 0, 10, now=100.0) == ""
    assert pace.facts("features", 5, 10, now=105.0) == "1 s an image, 5.0 s left"

"""Stopped at any moment, gone on with, and the same bytes in the end: in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.networks import TINY_WITH_DROPOUT

from convoscope.runs import Run

pytestmark = pytest.mark.slow

MAIN = "from convoscope.cli import main; main()"
TRAIN = (
    "train",
    "shapes",
    "-m",
    "tiny.yaml",
    "-b",
    "8",
    "--augment",
    "photos-mixed",
    "--no-report",
)
SLOW = TINY_WITH_DROPOUT.replace("[3, 16, 16]", "[3, 160, 160]").replace(
    "filters: 4", "filters: 32"
)
"""A network whose steps take long enough to be interrupted in the middle."""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, shapes_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY_WITH_DROPOUT)
    (tmp_path / "slow.yaml").write_text(SLOW)


AT_WRITING = """\
import os, signal, sys
def stop(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith({file!r}):
        os.kill(os.getpid(), signal.{signal})
sys.addaudithook(stop)
"""
"""Before a program: it gets a signal at the moment at which a file is about to be in its place.
Whoever watches from outside misses that moment now and then; an epoch may take a millisecond."""


def start(*words: str, before: str = "") -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", before + MAIN, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(*words: str) -> None:
    process = start(*words)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def kill_at(file: str, *words: str) -> None:
    """Start the command, which is killed when it is about to have written ``file``."""
    process = start(*words, before=AT_WRITING.format(file=file, signal="SIGKILL"))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors


def assert_same_outcome(one: str, other: str) -> None:
    splits = ("train", "validation", "test")
    for name in ("model/weights.safetensors", *(f"predictions/{split}.npz" for split in splits)):
        assert Path(one, name).read_bytes() == Path(other, name).read_bytes(), name
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in Run(Path(run)).history()]
        for run in (one, other)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("file", ["/state-3.safetensors", "/best-4.safetensors"])
def test_a_killed_run_goes_on_to_the_same_bytes(engine: str, file: str) -> None:
    words = (*TRAIN, "--engine", engine, "-e", "6", "--patience", "0", "--schedule", "cosine")
    finish(*words, "-o", "whole")
    kill_at(file, *words, "-o", "killed")
    run = Run(Path("killed"))
    assert run.record().status == "running"
    assert not (run.path / "model" / "weights.safetensors").exists()
    finish("train", "--resume", "killed", "--no-report")
    assert run.record().status == "finished"
    assert_same_outcome("whole", "killed")


def test_killed_before_the_first_epoch_ended_it_begins_anew() -> None:
    words = ("train", "shapes", "-m", "slow.yaml", "--engine", "numpy", "-e", "1", "--no-report")
    finish(*words, "-o", "whole")
    kill_at("/state-1.safetensors", *words, "-o", "killed")
    assert Run(Path("killed")).checkpoint() is None
    finish("train", "--resume", "killed", "--no-report")
    assert_same_outcome("whole", "killed")


def test_ctrl_c_keeps_the_best_epoch_and_says_how_to_go_on() -> None:
    words = (*TRAIN[:-1], "--engine", "numpy", "-e", "60", "--patience", "0")
    finish(*words, "-o", "whole")
    at_an_epoch = AT_WRITING.format(file="/state-2.safetensors", signal="SIGINT")
    process = start(*words, "-o", "stopped", before=at_an_epoch)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "stopping after this step" in errors
    assert "go on with  convoscope train --resume stopped" in output
    run = Run(Path("stopped"))
    record = run.record()
    assert (record.status, record.stop_reason) == ("interrupted", "interrupted")
    assert 1 <= record.epochs < 60
    assert run.splits() == ("train", "validation", "test")
    assert run.report_file.exists()
    finish("train", "--resume", "stopped")
    assert_same_outcome("whole", "stopped")


def started_training(process: subprocess.Popen[str]) -> None:
    """Read the progress until the first step is about to be done."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("training on"):
            return
    raise AssertionError(f"training never began, exit code {process.wait()}")


def test_ctrl_c_before_the_first_epoch_ended_keeps_the_last_step() -> None:
    process = start("train", "shapes", "-m", "slow.yaml", "--engine", "numpy", "-b", "1", "-o", "r")
    started_training(process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the weights are those of its last step" in output
    assert Run(Path("r")).splits() == ("train", "validation", "test")


def test_a_second_ctrl_c_quits_at_once() -> None:
    process = start("train", "shapes", "-m", "slow.yaml", "--engine", "numpy", "-o", "r")
    started_training(process)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "convoscope: interrupted"
    record = Run(Path("r")).record()
    assert record.status == "interrupted"
    assert record.notes == ("interrupted before its predictions were written",)


def test_a_full_disk_is_one_sentence_and_leaves_a_run_to_go_on_with() -> None:
    """No file may grow beyond a few kilobytes, which the system reports as it does a full disk."""
    words = (*TRAIN, "--engine", "numpy", "-e", "2")
    finish(*words, "-o", "whole")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
    done = subprocess.run(
        [sys.executable, "-c", limit + MAIN, *words, "-o", "full"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("convoscope")]
    assert "writing needs more room than the disk has left: free some space" in sentence
    assert sentence.endswith("then  convoscope train --resume full")
    assert "Traceback" not in done.stderr
    finish("train", "--resume", "full", "--no-report")
    assert_same_outcome("whole", "full")


def test_two_processes_do_not_train_the_same_run() -> None:
    process = start("train", "shapes", "-m", "slow.yaml", "--engine", "numpy", "-b", "1", "-o", "r")
    started_training(process)
    second = start("train", "--resume", "r")
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"process {process.pid} on " in errors
    assert "r: a run is written by one process at a time" in errors
    removal = start("runs", "rm", "--yes", "r")
    assert "at it: wait until it ends" in removal.communicate(timeout=60)[1]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert Run(Path("r")).record().status == "interrupted"
    assert not Path("r/lock").exists()


def test_row_11_goes_on_with_its_training_and_then_with_its_look() -> None:
    words = ("experiment", "row-11", "--data", "shapes", "--model", "tiny.yaml", "--epochs", "2")
    at_an_epoch = AT_WRITING.format(file="/state-1.safetensors", signal="SIGINT")
    process = start(*words, "--layer", "conv", before=at_an_epoch)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    said = output.splitlines()[-1].partition("convoscope ")[2].split()
    run = Path("runs/shapes-tiny-1")
    assert said == ["experiment", "row-11", "--resume", str(run), "--layer=conv"]
    kill_at("/groups/1.npz", *words, "--layer", "conv")  # the same words find the same run
    assert Run(run).record().status == "finished"
    looked_at = run / "inside" / "1" / "images" / "manifest.json"
    before = looked_at.stat().st_mtime_ns
    at_the_last = AT_WRITING.format(file="/readable/arrays.npz", signal="SIGINT")
    process = start(
        "experiment", "row-11", "--run", str(run), "--layer", "conv", before=at_the_last
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"row-11 --resume {run} --layer=conv" in output.splitlines()[-1]
    finish(*words, "--layer", "conv")
    assert [folder.name for folder in (run / "inside").iterdir()] == ["1"]
    assert [folder.name for folder in Path("runs").iterdir()] == [run.name]
    assert (run / "inside" / "1" / "inside.html").is_file()
    assert looked_at.stat().st_mtime_ns == before


def test_ctrl_c_while_maximising_says_how_to_go_on() -> None:
    finish("train", "shapes", "-m", "tiny.yaml", "-e", "1", "--no-report", "-o", "r")
    words = ("maximise", "r", "--layer", "all", "--steps", "2")
    at_the_second = AT_WRITING.format(file="/groups/2.npz", signal="SIGINT")
    process = start(*words, before=at_the_second)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command goes on with what is not drawn yet" in errors
    assert Path("r/favourites/1/groups/1.npz").is_file()
    finish(*words)
    assert [folder.name for folder in Path("r/favourites").iterdir()] == ["1"]
    assert not Path("r/favourites/1/groups").exists()

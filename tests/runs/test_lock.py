"""Only one process writes a run; what a dead one left is taken over. With real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from convoscope.errors import RunError
from convoscope.runs import Run, remove_run
from convoscope.runs.lock import Holder, holder, holding

_HOLD = """
import sys
from pathlib import Path
from convoscope.runs.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(run: Run) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the run until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.communicate("")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "r").mkdir()
    return Run(tmp_path / "r")


def test_while_one_process_is_at_it_another_is_refused(run: Run) -> None:
    with another_process(run) as process:
        host = re.escape(socket.gethostname())
        sentence = (
            rf"r: a run is written by one process at a time, process {process.pid} on {host} is "
            "at it: wait until it ends, or stop it$"
        )
        with pytest.raises(RunError, match=sentence), holding(run.path):
            pass
        assert holder(run.path) == Holder(process.pid, socket.gethostname())
    with holding(run.path):
        assert holder(run.path) == Holder(os.getpid(), socket.gethostname())
    assert holder(run.path) is None
    assert not (run.path / "lock").exists()


def test_what_a_killed_process_left_is_taken_over(run: Run) -> None:
    with another_process(run) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (run.path / "lock").exists()
        assert holder(run.path) is None
        with holding(run.path):
            assert holder(run.path) == Holder(os.getpid(), socket.gethostname())


def test_a_dead_process_whose_number_was_given_away_is_no_holder(run: Run) -> None:
    """After a restart of a container, say, where process 1 was at it and is another one now."""
    left = {"pid": os.getpid(), "host": socket.gethostname()}
    (run.path / "lock").write_text(json.dumps(left))
    with holding(run.path):
        pass


def test_of_another_host_nothing_is_known_and_its_lock_stays(run: Run) -> None:
    (run.path / "lock").write_text(json.dumps({"pid": 7, "host": "elsewhere.example"}))
    sentence = (
        "process 7 on elsewhere.example is at it: wait until it ends, or stop it; if it runs no "
        rf"more, delete \S+r{re.escape(os.sep)}lock$"
    )
    with pytest.raises(RunError, match=sentence), holding(run.path):
        pass
    assert (run.path / "lock").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}'])
def test_a_lock_that_was_not_written_whole_is_nobody_s(run: Run, content: str) -> None:
    (run.path / "lock").write_text(content)
    assert holder(run.path) is None
    with holding(run.path):
        pass


def test_two_threads_of_one_process_are_two(run: Run) -> None:
    with (
        holding(run.path),
        pytest.raises(RunError, match=f"process {os.getpid()} on"),
        holding(run.path),
    ):
        pass


def test_without_locks_of_the_system_a_process_that_is_gone_counts_as_dead(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoscope.runs.lock.fcntl", None)
    with (
        another_process(run) as process,
        pytest.raises(RunError, match=f"process {process.pid}"),
        holding(run.path),
    ):
        pass
    (run.path / "lock").write_text(json.dumps({"pid": process.pid, "host": socket.gethostname()}))
    with holding(run.path):
        pass


def test_a_run_that_is_being_written_is_not_removed(run: Run) -> None:
    (run.path / "run.json").write_text("{}")
    with another_process(run) as process:
        with pytest.raises(RunError, match=f"process {process.pid} on .* is at it: wait"):
            remove_run(run)
        assert run.path.exists()
    remove_run(run)
    assert not run.path.exists()

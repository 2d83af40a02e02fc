"""One process at a time writes a run: a file ``lock`` in its folder, held while training goes on.

The file says the process and the host that hold it. The system holds a lock on it besides, which
ends with the process however it ends, so that what a killed process left is taken over. Where the
file system knows no such locks, a process of this host that is gone counts as dead; of one on
another host nothing is known, and it is left alone.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from convoscope.disk import storing
from convoscope.errors import RunError

fcntl: Any
try:
    fcntl = importlib.import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

_NAME = "lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that writes a run, and the computer that it runs on."""

    pid: int
    host: str


@contextmanager
def holding(run: Path) -> Iterator[None]:
    """Be the only process that writes the run in that folder while inside.

    Raises:
        RunError: if another process does already; names it.
        StorageError: if the run's folder is not writable.
    """
    with storing(run):
        stream = _taken(run)
    try:
        yield
    finally:
        # Before it is closed: whoever opened it meanwhile sees that it is the file no more.
        with suppress(OSError):
            (run / _NAME).unlink()
        stream.close()


def holder(run: Path) -> Holder | None:
    """The process that writes the run now, as far as one can see; ``None`` if there is none."""
    try:
        said = _said((run / _NAME).read_bytes())
    except OSError:
        return None
    is_ours = said is not None and said.host == socket.gethostname()
    return None if said is None or (is_ours and _is_gone(said.pid)) else said


def check_free(run: Path) -> None:
    """Refuse a run that a process is writing.

    Raises:
        RunError: names the process.
    """
    if (other := holder(run)) is not None:
        raise _held(run, other)


def _taken(run: Path) -> FileIO:
    """The run's lock file, locked by this process and saying so."""
    path = run / _NAME
    while True:
        stream = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+")
        try:
            if (other := _other(stream)) is not None:
                raise _held(run, other)
            if _is_file(stream, path):
                me = Holder(os.getpid(), socket.gethostname())
                stream.seek(0)
                stream.truncate()
                stream.write(json.dumps({"pid": me.pid, "host": me.host}).encode())
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()


def _other(stream: FileIO) -> Holder | None:
    """Who else holds the file; if nobody does, it is locked from here on, while it is open."""
    is_locked = _lock(stream)
    stream.seek(0)
    said = _said(stream.read())
    if is_locked is False:
        return said or Holder(0, "")
    if said is None or (said.host == socket.gethostname() and (is_locked or _is_gone(said.pid))):
        return None
    return said


def _lock(stream: FileIO) -> bool | None:
    """Whether the system gave us the lock; ``None`` where it has none to give."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _said(content: bytes) -> Holder | None:
    """The process named in the file; none in one that was not written whole."""
    try:
        values = json.loads(content)
        return Holder(int(values["pid"]), str(values["host"]))
    except (ValueError, KeyError, TypeError):
        return None


def _is_gone(pid: int) -> bool:
    if os.name == "nt":  # There, signal 0 is Ctrl-C.
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _is_file(stream: FileIO, path: Path) -> bool:
    """Whether the open file still is the one of that name."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _held(run: Path, other: Holder) -> RunError:
    who = f"process {other.pid} on {other.host}" if other.pid else "another process"
    wait = "wait until it ends, or stop it"
    if other.host not in ("", socket.gethostname()) or fcntl is None:
        wait += f"; if it runs no more, delete {run / _NAME}"
    return RunError(f"{run}: a run is written by one process at a time, {who} is at it: {wait}")

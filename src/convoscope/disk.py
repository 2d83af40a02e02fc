"""Writing files so that a reader never sees half of one.

A file is written under a temporary name in the same folder, then renamed. A full or unwritable
disk becomes one sentence, and what was there before stays as it was.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from convoscope.errors import StorageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT)
_POLL_SECONDS = 0.05
_STALE_SECONDS = 24 * 3600


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk met inside into a :class:`StorageError` about ``path``."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageError(
                f"{path}: writing needs more room than the disk has left: "
                "free some space, or choose another folder"
            ) from error
        if error.errno in _NO_PERMISSION:
            raise StorageError(
                f"{path}: the folder must be writable, the system said "
                f"{error.strerror!r}: choose another folder"
            ) from error
        raise


def write(path: Path, fill: Callable[[Path], object]) -> None:
    """Let ``fill`` write a temporary file beside ``path``, then rename it to ``path``.

    Raises:
        StorageError: if the disk is full or not writable, or ``path`` is a folder.
    """
    if path.is_dir():
        raise StorageError(f"{path}: a file must be named, this is a folder: add a file's name")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fill(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, all of it or nothing."""
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content``, all of it or nothing."""
    write(path, lambda temporary: temporary.write_bytes(content))


@contextmanager
def filling(folder: Path, *, is_whole: Callable[[Path], bool] = Path.is_dir) -> Iterator[Path]:
    """A temporary folder beside ``folder``, which gets that name when the block ends well.

    A process that is killed halfway leaves nothing that looks finished. Of two that fill the same
    folder at once one is the first, and the other's is thrown away. A ``folder`` that is there
    already is replaced only if it is not whole. Parts that are a day old are taken away.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    part = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.part")
    with storing(folder):
        part.mkdir(parents=True)
        remove_stale(folder.parent)
        try:
            yield part
            if folder.exists() and not is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)
            try:
                part.rename(folder)
            except OSError:
                if not is_whole(folder):
                    raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def remove_stale(folder: Path) -> None:
    """Delete what processes that were killed a day ago or more have left."""
    for part in folder.glob("*.part"):
        # Another process may give a part its final name between the listing and the look at it.
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(part, ignore_errors=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold what only one process at a time may do to ``path``; waits for whoever holds it.

    The lock is the system's, on a file beside ``path``, so that it goes with a process that is
    killed; ``path`` itself may be renamed or replaced meanwhile. The folder must be there.
    """
    lock = path.with_name(f".{path.name}.lock")
    while True:
        with lock.open("ab") as stream:
            while not _locked(stream):
                time.sleep(_POLL_SECONDS)
            if not _is_still(lock, stream):
                continue  # whoever held it has removed it: the next one begins with a new file
            try:
                yield
            finally:
                with suppress(OSError):
                    lock.unlink()
            return


def _locked(stream: IO[bytes]) -> bool:
    """Whether the lock is ours now."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def _is_still(path: Path, stream: IO[bytes]) -> bool:
    """Whether ``path`` is the file that ``stream`` has open."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    return False

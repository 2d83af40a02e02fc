"""Writing files so that a reader never sees half of one.

A file is written under a temporary name in the same folder, then renamed. A full or unwritable
disk becomes one sentence, and what was there before stays as it was.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from convoscope.errors import StorageError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT)


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

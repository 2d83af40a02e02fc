"""Which folder an explanation gets: a new one, or that in which the same command was stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from convoscope import disk
from convoscope.errors import RunError
from convoscope.jobs.explain_subject import Subject
from convoscope.jobs.folder import claim
from convoscope.runs.lock import holder, holding

UNFINISHED: Final = "unfinished.json"
"""The file in a folder that is not whole; it says which command was at it."""


@contextmanager
def folder_for(
    command: Sequence[str],
    out: str | Path | None,
    subject: Subject,
    *,
    below: str = "explanations",
    verb: str = "explain",
) -> Iterator[Path]:
    """The folder for what ``command`` finds: one in which the same command was stopped, to be gone
    on with, or a new one as of :func:`explanation_folder`. It is whole when the block ends well.

    Raises:
        RunError: if ``out`` is there and holds anything else, or another process is at it.
        StorageError: if the folder cannot be made.
    """
    asked = {"command": list(command), "engine": subject.network.engine}
    path = _stopped(asked, out, subject, below, verb)
    path = path or explanation_folder(out, subject, below=below, verb=verb)
    with holding(path):
        disk.write_text(path / UNFINISHED, json.dumps(asked, ensure_ascii=False) + "\n")
        yield path
        (path / UNFINISHED).unlink()


def explanation_folder(
    out: str | Path | None, subject: Subject, *, below: str = "explanations", verb: str = "explain"
) -> Path:
    """Make the folder: ``out``; or the first free number below a run's ``below``; or, for a
    network that is no run, the first free ``runs/<verb>-<network>-<n>``.

    Raises:
        RunError: if ``out`` is there and not empty.
        StorageError: if the folder cannot be made.
    """
    if out is not None:
        return _claim_named(Path(out))
    if subject.run is None:
        return claim(None, data=verb, model=subject.source).path
    return _first_free(subject.run.path / below)


def _stopped(
    asked: dict[str, Any], out: str | Path | None, subject: Subject, below: str, verb: str
) -> Path | None:
    """The folder in which just this was stopped; ``None`` if there is none."""
    if out is not None:
        candidates = [Path(out) / UNFINISHED]
    elif subject.run is not None:
        candidates = sorted((subject.run.path / below).glob(f"*/{UNFINISHED}"))
    else:
        candidates = sorted(Path("runs").glob(f"{verb}-*/{UNFINISHED}"))
    for file in candidates:
        # Without a name of its own a second process gets a second folder, not this one's.
        is_free = out is not None or holder(file.parent) is None
        if is_free and _said(file) == asked:
            return file.parent
    return None


def _said(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _first_free(parent: Path) -> Path:
    with disk.storing(parent):
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            try:
                path = parent / str(number)
                path.mkdir()
                return path
            except FileExistsError:
                number += 1


def _claim_named(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise RunError(
            f"{path}: an explanation needs a folder of its own, this is a file: choose another "
            "--out"
        )
    if path.exists() and any(path.iterdir()):
        raise RunError(
            f"{path}: an explanation needs a folder of its own, this one holds other files: choose "
            "another --out, or delete it"
        )
    with disk.storing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path

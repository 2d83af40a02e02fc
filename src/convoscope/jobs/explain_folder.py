"""Which folder an explanation gets: never one that holds something already."""

from __future__ import annotations

from pathlib import Path

from convoscope import disk
from convoscope.errors import RunError
from convoscope.jobs.explain_subject import Subject
from convoscope.jobs.folder import claim


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

"""Which folder a new run gets: never one that holds something already."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from convoscope import disk
from convoscope.data.catalogue.choice import is_named
from convoscope.errors import RunError
from convoscope.runs import Run
from convoscope.runs.ladder import LADDER
from convoscope.runs.learning_curve import LEARNING_CURVE
from convoscope.runs.variations import VARIATIONS

_GOES_ON: Final = {VARIATIONS: "vary", LADDER: "ladder", LEARNING_CURVE: "ladder"}
"""Which command goes on with runs of that kind; ``train`` with every other."""


def goes_on(kind: str, path: Path) -> str:
    """The command that goes on with an unfinished run of that kind."""
    return f"convoscope {_GOES_ON.get(kind, 'train')} --resume {path}"


def claim(out: str | Path | None, *, data: str, model: str) -> Run:
    """Make the folder of a new run: ``out``, or the first free ``runs/<data>-<model>-<n>``.

    Raises:
        RunError: if ``out`` is there and not empty; says how to go on with an unfinished run.
        StorageError: if the folder cannot be made.
    """
    if out is not None:
        return _claim_named(Path(out))
    stem = "-".join(filter(None, (_word(data), _word(model)))) or "run"
    folder, number = Path("runs"), 1
    with disk.storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                path = folder / f"{stem}-{number}"
                path.mkdir()
                return Run(path)
            except FileExistsError:
                number += 1


def _claim_named(path: Path) -> Run:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path}: a new run needs a folder of its own, {_found(path)}")
    with disk.storing(path):
        path.mkdir(parents=True, exist_ok=True)
    return Run(path)


def _found(path: Path) -> str:
    if not path.is_dir():
        return "this is a file: choose another --out"
    if not (path / "run.json").exists():
        return "this one holds other files: choose another --out"
    try:
        record = Run(path).record()
    except RunError:
        return "this one holds half a run: choose another --out, or delete the folder"
    if record.status == "finished":
        return (
            "this one holds a finished run: choose another --out, or first  "
            f"convoscope runs rm {path}"
        )
    return (
        "this one holds an unfinished run: go on with it by  "
        f"{goes_on(record.kind, path)}  or choose another --out"
    )


def _word(name: str) -> str:
    """The last part of a path or name, in letters that every disk and shell takes."""
    last = Path(name).resolve().name if name in (".", "..") else Path(name).name
    if is_named(name):  # what stands after a slash is no folder there
        last = name
    stem = re.sub(r"\.(ya?ml|json)$", "", last)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.")

"""A folder of what was found inside a network as a whole: favourite inputs, or a patch atlas.

::

    manifest.json       schema_version, kind, what was found, and of each array its name, shape and
                        axes, of each picture what it shows
    arrays.npz          the arrays
    *.png               the pictures
    *.html              the page, made from the rest

The manifest is written last: a folder with one is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from zipfile import BadZipFile

import numpy as np

from convoscope import disk
from convoscope.arrays import Array
from convoscope.errors import RunError
from convoscope.runs.explanation_files import PictureFile

SCHEMA_VERSION: Final = 1
MANIFEST, ARRAYS = "manifest.json", "arrays.npz"

Kind: TypeAlias = Literal["favourites", "atlas"]

COMMANDS: Final[Mapping[str, str]] = {"favourites": "maximise", "atlas": "atlas"}
"""Which command of ``convoscope`` makes a folder of that kind."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Named:
    """An array and what its axes are: ``"channel, row, column"``."""

    values: Array
    axes: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InsideFolder:
    """Such a folder, open for reading; ``facts`` are all that was found besides the arrays."""

    path: Path
    kind: Kind
    facts: Mapping[str, Any]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def page_file(self) -> Path:
        """``favourites.html`` or ``atlas.html``."""
        return self.path / f"{self.kind}.html"

    def arrays(self) -> dict[str, Array]:
        """The arrays by name.

        Raises:
            RunError: if the file is not whole.
        """
        file = self.path / ARRAYS
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                found = dict(arrays)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise _not_whole(file, self.kind, error) from error
        for entry in self.manifest["arrays"]:
            if entry["name"] not in found:
                raise _not_whole(file, self.kind, KeyError(entry["name"]))
        return found

    def to_json(self) -> dict[str, Any]:
        """What the command's ``--json`` prints of it, besides where it is."""
        return {
            **self.facts,
            "arrays": list(self.manifest["arrays"]),
            "pictures": list(self.manifest["pictures"]),
        }


def write_inside(
    folder: Path,
    kind: Kind,
    facts: Mapping[str, Any],
    arrays: Mapping[str, Named],
    pictures: Iterable[PictureFile],
) -> InsideFolder:
    """Write all of it, the manifest last.

    Raises:
        StorageError: if the disk is full or not writable.
    """

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            values = {name: array.values for name, array in arrays.items()}
            np.savez_compressed(stream, allow_pickle=False, **values)

    disk.write(folder / ARRAYS, fill)
    shown = []
    for picture in pictures:
        disk.write_bytes(folder / picture.name, picture.png)
        shown.append({"file": picture.name, "what": picture.what})
    content = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "found": facts,
        "arrays": [
            {
                "name": name,
                "shape": list(array.values.shape),
                "dtype": str(array.values.dtype),
                "axes": array.axes,
            }
            for name, array in arrays.items()
        ],
        "pictures": shown,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    disk.write_text(folder / MANIFEST, text + "\n")
    return open_inside(folder, kind)


def kind_of(path: Path) -> Kind | None:
    """Which of these kinds of folder it is, ``None`` for any other."""
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kind = content.get("kind") if isinstance(content, dict) else None
    return kind if kind in COMMANDS else None


def open_inside(path: Path, kind: Kind) -> InsideFolder:
    """The folder of that kind at ``path``.

    Raises:
        RunError: if there is none, or it is not whole, or was written by a newer version.
    """
    file = path / MANIFEST
    if kind_of(path) != kind:
        raise RunError(
            f"{path}: a folder of  convoscope {COMMANDS[kind]}  must hold its {MANIFEST}, this one "
            f"does not: make one with  convoscope {COMMANDS[kind]}"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content["schema_version"]
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise RunError(
                f"{file}: has schema_version {version!r}, this convoscope reads up to "
                f"{SCHEMA_VERSION}: update convoscope"
            )
        manifest = {"arrays": content["arrays"], "pictures": content["pictures"]}
        return InsideFolder(path=path, kind=kind, facts=content["found"], manifest=manifest)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, RunError):
            raise
        raise _not_whole(file, kind, error) from error


def _not_whole(file: Path, kind: Kind, error: Exception) -> RunError:
    reason = " ".join(str(error).split())
    return RunError(
        f"{file}: must hold what  convoscope {COMMANDS[kind]}  found, reading it gave {reason}: "
        "delete the folder and make it again"
    )

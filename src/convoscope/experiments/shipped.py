"""Variations that come along, by name; and those from a file, by path."""

from __future__ import annotations

from pathlib import Path

from convoscope.errors import unknown_name

_FOLDER = Path(__file__).parent / "variations"
SHIPPED = tuple(sorted(file.stem for file in _FOLDER.glob("*.yaml")))


def variations_file(name_or_file: str) -> Path:
    """The file of variations of that name, or the one at that path.

    Raises:
        UnknownNameError: if it is neither a known name nor looks like a file; names the nearest.
    """
    if name_or_file in SHIPPED:
        return _FOLDER / f"{name_or_file}.yaml"
    path = Path(name_or_file)
    if path.suffix.lower() in (".yaml", ".yml") or path.is_file():
        return path
    raise unknown_name("list of variations", name_or_file, SHIPPED)

"""Where data comes from: an embedded set by its name, or files by their path."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from convoscope.data.dataset import Dataset
from convoscope.data.folders import read_folder
from convoscope.data.idx import is_idx_images, read_idx
from convoscope.errors import unknown_name

EMBEDDED: Mapping[str, str] = MappingProxyType({"digits": "convoscope.data.digits:read_digits"})
"""Each embedded set and its reader, imported when asked for: scikit-learn takes a second."""


def open_dataset(source: str | Path) -> Dataset:
    """The data set of that name or path; a name always means the embedded set.

    A folder that happens to have the same name is ``./digits``, or a :class:`~pathlib.Path`.

    Raises:
        UnknownNameError: if it is no path and nearly an embedded set's name.
        DataError: if there is no such folder, or it is no data set.
    """
    if isinstance(source, str) and source in EMBEDDED:
        module, function = EMBEDDED[source].split(":")
        dataset = getattr(importlib.import_module(module), function)()
        assert isinstance(dataset, Dataset)
        return dataset
    path = Path(source).expanduser()
    if not path.exists() and _is_misspelt(source):
        raise unknown_name("data set or folder", str(source), EMBEDDED)
    return read_idx(path) if _holds_idx(path) else read_folder(path)


def _is_misspelt(source: str | Path) -> bool:
    """Whether this looks like a name with a slip in it, and not like a path."""
    return (
        isinstance(source, str)
        and os.sep not in source
        and bool(difflib.get_close_matches(source, EMBEDDED, n=1))
    )


def _holds_idx(path: Path) -> bool:
    if path.is_dir():
        return any(is_idx_images(file.name) for file in path.iterdir())
    return path.is_file() and is_idx_images(path.name)

"""Favourite inputs kept while others are drawn, so that who is stopped goes on with those."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from convoscope import disk
from convoscope.explain.maximise import Favourites
from convoscope.network import Target

_ARRAYS: Final = ("pictures", "started", "reached", "peaks", "history", "is_silent")


def kept(file: Path, target: Target, draw: Callable[[], Favourites]) -> Favourites:
    """What ``file`` holds of the target; else what ``draw`` gives, which is then kept there.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    if file.is_file():
        with np.load(file, allow_pickle=False) as arrays:
            return Favourites(target=target, **{name: arrays[name] for name in _ARRAYS})
    found = draw()

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **{name: getattr(found, name) for name in _ARRAYS})

    disk.write(file, fill)
    return found

"""What an atlas shows: what was asked, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convoscope.errors import SettingsError

MOST_PATCHES: Final = 25
DRAWN_UP_TO: Final = (128, 64)
"""Favourite inputs are drawn unasked in a layer of at most so many channels, of a network whose
images are at most so many pixels wide: there it takes seconds.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasRequest:
    """What to show.

    ``layer`` is the last one of maps unless it is named; ``patches`` of each channel; ``split`` of
    the images, else all; ``head`` is the label that channels may speak for, else the first. So
    many ``favourites`` are drawn, the most telling channels' first, ``None`` for all where that
    is quick and else none; or those of the folder ``favourites_from`` are shown.
    """

    layer: str | None = None
    patches: int = 9
    split: str | None = None
    head: str | None = None
    favourites: int | None = None
    favourites_from: Path | None = None
    seed: int = 0
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.patches <= MOST_PATCHES:
            raise SettingsError(
                f"patches must lie in 1 to {MOST_PATCHES}, got {self.patches}: 9 is usual"
            )
        if self.favourites is not None and self.favourites < 0:
            raise SettingsError(
                f"favourites must be at least 0, got {self.favourites}: 0 draws none"
            )
        if self.favourites and self.favourites_from is not None:
            raise SettingsError(
                f"favourites are drawn or taken from a folder, got {self.favourites} to draw and "
                f"{self.favourites_from}: leave one of the two out"
            )

    def options(self) -> tuple[str, ...]:
        """The options of the command that asks for this; what is usual is left out."""
        usual = AtlasRequest()
        words = []
        for name in ("layer", "patches", "split", "head", "favourites", "favourites_from", "seed"):
            value = getattr(self, name)
            if value != getattr(usual, name):
                words.append(f"--{name.replace('_', '-')}={value}")
        return (*words, *(("--skip-unreadable",) if self.skip_unreadable else ()))

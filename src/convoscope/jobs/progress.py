"""How a job tells how far it is, where training's own events do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told the name of a stage, how many images are done, and how many there are. A stage that counts
something else ends its name with that in brackets: ``"fetching a.zip (MB)"``.
"""


def unwatched(stage: str, done: int, total: int) -> None:
    """The progress that nobody looks at."""

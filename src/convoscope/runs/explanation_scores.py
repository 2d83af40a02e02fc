"""How far each method of an explanation can be trusted, as saved beside it: ``scores.json``.

Numbers per image, as they were measured; what they say together is computed from them by whoever
reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from convoscope import disk
from convoscope.errors import RunError

SCHEMA_VERSION: Final = 1
SCORES: Final = "scores.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One method, or a baseline, on one image.

    ``insertion`` and ``deletion`` are the class's probability after each step, ``shares`` how much
    of the image has changed by then. ``drop`` is the share of the probability that is lost when
    only what is bright is shown; ``increases`` says that it rose. ``stability`` is ``None`` for
    a baseline; ``pointing`` and ``mass`` for an image whose thing is not marked.
    """

    shares: tuple[float, ...]
    insertion: tuple[float, ...]
    deletion: tuple[float, ...]
    drop: float
    increases: bool
    stability: float | None = None
    pointing: float | None = None
    mass: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredImage:
    """An image, the class that was explained with its probability, and the scores by method."""

    name: str
    head: str
    class_name: str
    probability: float
    methods: Mapping[str, Scored]


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomisation:
    """How alike explanations stay as layers lose their weights: by method a row for each group of
    layers, and in it a number for each of some images.
    """

    groups: tuple[tuple[str, ...], ...]
    ranks: Mapping[str, tuple[tuple[float, ...], ...]]
    ssims: Mapping[str, tuple[tuple[float, ...], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of ``methods``, at ``layer`` for those that look at one, and of ``baselines``.

    ``titles`` are the methods' in words. ``like_gradient`` names methods that gave the plain
    gradient though they should not. ``seconds`` is how long it all took.
    """

    methods: tuple[str, ...]
    titles: Mapping[str, str]
    baselines: tuple[str, ...]
    layer: str
    images: tuple[ScoredImage, ...]
    cascading: Randomisation | None = None
    independent: Randomisation | None = None
    like_gradient: tuple[str, ...] = ()
    seconds: float = 0.0


_SCORES = TypeAdapter(Scores)


def write_scores(folder: Path, scores: Scores) -> Path:
    """Write ``scores.json`` into an explanation's folder and return its path.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    content = {"schema_version": SCHEMA_VERSION, "kind": "explanation scores", **asdict(scores)}
    file = folder / SCORES
    disk.write_text(file, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")
    return file


def read_scores(folder: Path) -> Scores | None:
    """The scores in an explanation's folder, ``None`` where it was not scored.

    Raises:
        RunError: if the file is not whole, or was written by a newer version.
    """
    file = folder / SCORES
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content["schema_version"]
        known = {key: value for key, value in content.items() if key not in _HEADER}
        scores = _SCORES.validate_python(known)
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{file}: must hold the scores of an explanation, reading it gave {reason}: delete it, "
            "or explain again with --score"
        ) from error
    if version > SCHEMA_VERSION:
        raise RunError(
            f"{file}: has schema_version {version!r}, this convoscope reads up to "
            f"{SCHEMA_VERSION}: update convoscope"
        )
    return scores


_HEADER = ("schema_version", "kind")

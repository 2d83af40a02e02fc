"""How each method's picture of one image changes as the network forgets: a strip per method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.explain import METHODS
from convoscope.explain.scores.board import ALIKE
from convoscope.pictures.heat import bright_limit, lit
from convoscope.pictures.maps import enlarged
from convoscope.pictures.thumbnails import data_uri, zoom
from convoscope.report import wording
from convoscope.report.looking import Shown, heat_picture, photograph
from convoscope.report.unlearnt import remainder
from convoscope.runs.explanation_forgetting import Forgetting, read_forgetting
from convoscope.runs.explanation_scores import Scores

_LAYERS_NAMED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A method's pictures of the same image, from the network as it is to one that knows nothing;
    ``is_doubtful`` says that forgetting changed the second of them too little.
    """

    title: str
    sentence: str
    is_doubtful: bool
    pictures: tuple[Shown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgettingSection:
    """The image, what was randomised step by step, and a strip per method."""

    picture: Shown
    steps: tuple[str, ...]
    strips: tuple[Strip, ...]


def forgetting_section(folder: Path, scores: Scores) -> ForgettingSection | None:
    """The strips of an explanation that was scored; ``None`` where none were kept.

    Raises:
        RunError: if they are not whole.
    """
    found = read_forgetting(folder)
    if found is None or scores.cascading is None:
        return None
    groups = scores.cascading.groups
    return ForgettingSection(
        picture=photograph(found.picture, found.name),
        steps=(
            "as it is",
            *(f"and {_layers(group)}" if g else _layers(group) for g, group in enumerate(groups)),
        ),
        strips=tuple(_strips(found, scores)),
    )


def _layers(group: tuple[str, ...]) -> str:
    """The layers of a group, few enough to stand above a picture."""
    if len(group) <= _LAYERS_NAMED:
        return wording.together(group)
    return f"{group[0]} to {group[-1]}"


def _strips(found: Forgetting, scores: Scores) -> Iterator[Strip]:
    assert scores.cascading is not None, "checked"
    for method, values in found.methods.items():
        ranks = [float(of_images[0]) for of_images in scores.cascading.ranks[method]]
        words = ["", *(f"correlation {_signed(rank)}" for rank in ranks)]
        yield Strip(
            title=scores.titles[method],
            sentence=_sentence(ranks),
            is_doubtful=ranks[0] >= ALIKE,
            pictures=tuple(
                _shown(found.picture, method, one, said)
                for one, said in zip(values, words, strict=True)
            ),
        )


def _signed(rank: float) -> str:
    return f"{round(rank, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


def _sentence(ranks: list[float]) -> str:
    if ranks[0] >= ALIKE:
        left = remainder(ranks[0])
        return (
            f"The deciding layers have forgotten, and {left.stays}: here the picture shows "
            f"{left.shows}."
        )
    if max(ranks) >= ALIKE:
        return "It changes when the deciding layers forget, but comes back when others do."
    return "It changes as soon as the deciding layers forget, as it must."


def _shown(picture: ByteArray, method: str, values: FloatArray, words: str) -> Shown:
    """One explanation (h, w) on its own scale: heat over the picture, or light on black."""
    above = np.maximum(values, 0)
    if METHODS[method].gives == "map":
        image = heat_picture(picture, above, float(above.max()))
    else:
        light = above[None]
        image = enlarged(lit(light, bright_limit(light)), zoom(picture))
    return Shown(
        uri=data_uri(image), width=image.shape[1], height=image.shape[0], title="", words=words
    )

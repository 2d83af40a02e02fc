"""What can be said of an image file without looking at what it shows: the candidates for shortcuts.

Each trait is one number per image, with the words and the unit in which people say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from convoscope.arrays import Array
from convoscope.data.facts import ImageFacts

GRAY = "gray"
BORDERED = 32

_HUE_STEP = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """``values`` gives (N,) numbers of N images' facts; ``meaning`` says what they measure."""

    values: Callable[[ImageFacts], Array]
    written: Callable[[float], str]
    meaning: str


def traits_of(facts: ImageFacts) -> dict[str, Array]:
    """Every trait's numbers (N,), by its name.

    Where most pictures have a side below ``BORDERED`` pixels nothing is said of their borders,
    which are then part of what is shown: an 8 x 8 digit reaches its border, or does not.
    """
    is_bordered = np.median(np.minimum(facts.width, facts.height)) >= BORDERED
    return {
        name: trait.values(facts)
        for name, trait in TRAITS.items()
        if is_bordered or not name.startswith("border")
    }


def named(trait: str) -> str:
    """The trait as what a picture is told by: ``height``, but ``being gray``."""
    return "being gray" if trait == GRAY else trait


def share(value: float) -> str:
    """``44 %``."""
    return f"{100 * value:.0f} %"


def _pixels(value: float) -> str:
    return f"{value:.0f} px"


def _kilobytes(value: float) -> str:
    return f"{value / 1000:.1f} kB"


def _aspect(value: float) -> str:
    return f"{value:.2f} : 1"


def _signed_share(value: float) -> str:
    percent = round(100 * value)
    return f"{percent:+d} %".replace("-", "\N{MINUS SIGN}") if percent else "0 %"


def _gray_or_colour(value: float) -> str:
    return "gray" if value >= 0.5 else "colour"


def _excess(channel: int) -> Callable[[ImageFacts], Array]:
    """How far one channel of the border lies above the mean of the other two.

    In steps of ``_HUE_STEP``: that gray pictures have no hue at all is their grayness, not a hue.
    """
    others = [other for other in range(3) if other != channel]

    def values(facts: ImageFacts) -> Array:
        border = facts.border
        excess = border[:, channel] - border[:, others].mean(axis=1)
        return np.asarray(np.round(excess / _HUE_STEP) * _HUE_STEP + 0.0)

    return values


TRAITS: Mapping[str, Trait] = MappingProxyType(
    {
        GRAY: Trait(
            values=lambda facts: facts.is_gray,
            written=_gray_or_colour,
            meaning="gray or colour",
        ),
        "width": Trait(values=lambda facts: facts.width, written=_pixels, meaning="width"),
        "height": Trait(values=lambda facts: facts.height, written=_pixels, meaning="height"),
        "aspect": Trait(
            values=lambda facts: facts.width / facts.height,
            written=_aspect,
            meaning="width divided by height",
        ),
        "brightness": Trait(
            values=lambda facts: facts.brightness,
            written=share,
            meaning="mean brightness, from black (0 %) to white (100 %)",
        ),
        "file size": Trait(
            values=lambda facts: facts.file_size, written=_kilobytes, meaning="size of the file"
        ),
        "border brightness": Trait(
            values=lambda facts: facts.border.mean(axis=1),
            written=share,
            meaning="mean brightness of the outermost twentieth of the picture",
        ),
        "border redness": Trait(
            values=_excess(0),
            written=_signed_share,
            meaning="how much redder than gray the picture's border is",
        ),
        "border greenness": Trait(
            values=_excess(1),
            written=_signed_share,
            meaning="how much greener than gray the picture's border is",
        ),
        "border blueness": Trait(
            values=_excess(2),
            written=_signed_share,
            meaning="how much bluer than gray the picture's border is",
        ),
    }
)

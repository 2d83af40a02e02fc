"""The neurons of an explained image: where each looks, its part of the picture, its gradient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from convoscope.architecture.receptive_field import Box
from convoscope.arrays import ByteArray
from convoscope.pictures.heat import framed
from convoscope.pictures.thumbnails import LONGEST, data_uri, zoom
from convoscope.report import wording
from convoscope.report.looking import Shown, light, photograph
from convoscope.runs.explanations import ExplainedImage, SeenNeuron

_CLOSE_UP: Final = 0.5
"""An exact patch of more than this share of the picture is no close-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownNeuron:
    """A neuron: its position and value as one reads them, and three pictures.

    ``where`` frames its patch in the whole picture; ``patch`` and ``gradient`` are a close-up of
    the picture and of what would raise the neuron, black for a silent one.
    """

    rank: int
    position: str
    value: str
    is_silent: bool
    where: Shown
    patch: Shown
    gradient: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownNeurons:
    """The neurons of one layer: the strongest, or those that were chosen."""

    title: str
    words: str
    neurons: tuple[ShownNeuron, ...]


def neuron_groups(image: ExplainedImage) -> tuple[ShownNeurons, ...]:
    """The image's neurons by layer, the strongest before the chosen ones."""
    groups: dict[tuple[str, bool], list[int]] = {}
    for place, neuron in enumerate(image.facts.neurons):
        groups.setdefault((neuron.layer, neuron.is_chosen), []).append(place)
    return tuple(
        ShownNeurons(
            title=_title(layer, is_chosen, len(places)),
            words=_words(image, [image.facts.neurons[place] for place in places]),
            neurons=tuple(_shown(image, place, rank) for rank, place in enumerate(places, start=1)),
        )
        for (layer, is_chosen), places in groups.items()
    )


def position_words(neuron: SeenNeuron) -> str:
    """``(4, 6, 103)``: row, column, channel."""
    return f"({neuron.row}, {neuron.column}, {neuron.channel})"


def _title(layer: str, is_chosen: bool, count: int) -> str:
    if is_chosen:
        return f"Chosen neurons of {layer}"
    return (
        f"The {count} strongest neurons of {layer}"
        if count > 1
        else (f"The strongest neuron of {layer}")
    )


def _words(image: ExplainedImage, neurons: list[SeenNeuron]) -> str:
    """What the group shows, in two or three sentences."""
    height, width = image.picture.shape[:2]
    whole = all(neuron.exact == (0, 0, height, width) for neuron in neurons)
    framed_yellow = any(neuron.effective is not None for neuron in neurons)
    if whole:
        seen = "Each could see the whole picture"
        seen += "; the yellow frame holds what really counts." if framed_yellow else "."
    else:
        seen = "A white frame is all that the neuron can see"
        seen += ", the yellow one what really counts." if framed_yellow else "."
    unmoved = [neuron for neuron in neurons if neuron.effective is None]
    return (
        seen
        + _silent_words(sum(neuron.value == 0 for neuron in unmoved))
        + (_stuck_words(sum(neuron.value != 0 for neuron in unmoved)))
    )


def _silent_words(count: int) -> str:
    if not count:
        return ""
    of = "A neuron is" if count == 1 else f"{count} neurons are"
    return f" {of} silent: with an output of 0 nothing passes back, so the picture is black."


def _stuck_words(count: int) -> str:
    """Of neurons that answer, and yet have no gradient: those at the 6 of a ReLU6, for example."""
    if not count:
        return ""
    of = "A neuron does" if count == 1 else f"{count} neurons do"
    return (
        f" {of} not move with any pixel, as at the upper end of an activation that has one, so the "
        "picture is black: the layer before it may say more."
    )


def _shown(image: ExplainedImage, place: int, rank: int) -> ShownNeuron:
    neuron, picture = image.facts.neurons[place], image.picture
    large = framed(picture, neuron.exact, neuron.effective, times=zoom(picture))
    box = close_up(neuron, picture)
    return ShownNeuron(
        rank=rank,
        position=position_words(neuron),
        value=wording.score(neuron.value),
        is_silent=neuron.value == 0,
        where=Shown(
            uri=data_uri(large),
            width=large.shape[1],
            height=large.shape[0],
            title="sees",
            words=_box_words(neuron),
        ),
        patch=_part(
            picture,
            box,
            "what counts" if box == neuron.effective != neuron.exact else "close up",
            f"{box.bottom - box.top} × {box.right - box.left} pixels",
        ),
        gradient=_gradient(image, place, box),
    )


def close_up(neuron: SeenNeuron, picture: ByteArray) -> Box:
    """The part of the picture to look at closely: the exact patch or, where that is most of the
    picture, the effective one; everything where there is neither.
    """
    height, width = picture.shape[:2]
    exact = neuron.exact
    area = (exact.bottom - exact.top) * (exact.right - exact.left)
    if 0 < area <= _CLOSE_UP * height * width:
        return exact
    return neuron.effective or (exact if area else Box(0, 0, height, width))


def _part(picture: ByteArray, box: Box, title: str, words: str) -> Shown:
    part = np.ascontiguousarray(picture[box.top : box.bottom, box.left : box.right])
    shown = photograph(part, title, words)
    return replace(shown, is_exact=max(part.shape[:2]) <= LONGEST)


def _box_words(neuron: SeenNeuron) -> str:
    top, left, bottom, right = neuron.exact
    if neuron.exact == (0, 0, 0, 0):
        return "nothing but padding"
    return f"rows {top}–{bottom - 1}, columns {left}–{right - 1}"


def _gradient(image: ExplainedImage, place: int, box: Box) -> Shown:
    """The close-up of what raises a neuron; too small for a colour bar, its scale is in words."""
    shown = light(image.gradients[place], "raised by", "", box)
    if image.facts.neurons[place].value == 0:
        words = "nothing: it is silent"
    elif not shown.high:
        words = "nothing: no pixel could"
    else:
        words = f"up to {shown.high}, full light from {shown.bright_high}"
    return replace(shown, words=words, legend="")

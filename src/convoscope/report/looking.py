"""What the network looks at: one explained image as pictures with a sentence under each.

Used by the page of an explanation and by the section of a run's report. Drawn from saved arrays
alone; every picture says what its colours stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np

from convoscope.architecture.receptive_field import Box
from convoscope.arrays import ByteArray, FloatArray
from convoscope.explain import enlarge
from convoscope.pictures.heat import bright_limit, lit, overlay
from convoscope.pictures.maps import enlarged
from convoscope.pictures.thumbnails import data_uri, zoom
from convoscope.report import wording
from convoscope.runs.explanations import (
    About,
    ClassTarget,
    ExplainedImage,
    HeadSaid,
    View,
)

MOST_IMAGES: Final = 12
MOST_TARGETS: Final = 2
"""The report of a run shows so many images, and of each so many classes; the page shows more."""

Legend: TypeAlias = Literal["heat", "light", "glow", "signed", ""]
"""Which colour bar belongs to a picture: heat over a picture, light on black, the colours of maps,
those of values on both sides of 0; or none.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture for the page: ``words`` say what one sees, ``low`` and ``high`` what the ends of
    its colour bar stand for. ``bright`` is a brighter picture of the same, whose light is full at
    ``bright_high``. ``trust`` says how its method was scored on this image, ``mark`` what speaks
    against it.
    """

    uri: str
    width: int
    height: int
    title: str
    words: str = ""
    legend: Legend = ""
    low: str = ""
    high: str = ""
    bright: str = ""
    bright_high: str = ""
    is_exact: bool = False
    trust: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A class with its probability; ``tone`` is right, wrong, or quiet where it was not first."""

    name: str
    share: float
    words: str
    tone: Literal["right", "wrong", "quiet", "plain"]
    is_label: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHead:
    """What one head said: its bars, and in words whether it was right."""

    name: str
    bars: tuple[Bar, ...]
    verdict: str
    is_right: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTarget:
    """One class of an image, by head and name, with the picture of every method."""

    key: tuple[str, str]
    title: str
    words: str
    views: tuple[Shown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownImage:
    """An image as the network saw it, what each head said, and what it looked at."""

    name: str
    file: str
    picture: Shown
    heads: tuple[ShownHead, ...]
    targets: tuple[ShownTarget, ...]


def shown_image(image: ExplainedImage, about: About, *, targets: Sequence[int]) -> ShownImage:
    """An image with the views of some of its targets, by their place."""
    several = len(image.facts.said) > 1
    return ShownImage(
        name=image.facts.name,
        file=image.facts.file,
        picture=photograph(image.picture, "as the network sees it", _size_words(image.picture)),
        heads=tuple(_head(said) for said in image.facts.said),
        targets=tuple(
            ShownTarget(
                key=(image.facts.targets[place].head, image.facts.targets[place].name),
                title=_target_title(image.facts.targets[place], several),
                words=_WHY[image.facts.targets[place].why],
                views=tuple(view_of(image, view, place, about) for view in image.views),
            )
            for place in targets
        ),
    )


def view_of(
    image: ExplainedImage, view: View, place: int, about: About, *, limit: float | None = None
) -> Shown:
    """What a method shows of the image's ``place``-th target, on its own scale or to ``limit``."""
    target, values = image.facts.targets[place], view.values[place]
    method = next(method for method in about.methods if method.name == view.facts.method)
    title = method.title
    if view.facts.layer and len(about.heat_layers) > 1:
        title += f" at {view.facts.layer}"
    words = _PLAIN.get(view.facts.method, method.sentence).format(target.name)
    if view.facts.kind == "gradient":
        if float(values.max(initial=0.0)) <= 0:
            words = f"No pixel could raise {target.name}: the picture is black."
        return light(values, title, words)
    return heat_over(
        image.picture,
        values,
        title=title,
        sentence=words,
        target=target,
        layer=view.facts.layer,
        limit=limit,
    )


def heat_over(
    picture: ByteArray,
    heat: FloatArray,
    *,
    title: str,
    sentence: str,
    target: ClassTarget,
    layer: str,
    limit: float | None = None,
) -> Shown:
    """A map (h, w) over its picture, to its own highest value or to ``limit``."""
    highest = float(heat.max())
    top = highest if limit is None else limit
    height, width = heat.shape
    where = f" of {layer}" if layer else ""
    if highest <= 0:
        words = f"Nothing{where} speaks for {target.name}: the map is 0 everywhere."
    elif (height, width) == (1, 1):
        words = f"{sentence} The maps{where} are one cell: one value for the whole picture."
    else:
        words = sentence
        if (height, width) != picture.shape[:2]:
            words += f" Smoothed from {height} × {width} values{where}."
    image = heat_picture(picture, heat, top)
    return Shown(
        uri=data_uri(image),
        width=image.shape[1],
        height=image.shape[0],
        title=title,
        words=words,
        legend="heat" if highest > 0 else "",
        low="0",
        high=wording.score(top),
    )


def heat_picture(picture: ByteArray, heat: FloatArray, limit: float) -> ByteArray:
    """A map (h, w) from 0 to ``limit`` over a picture (H, W, C), as (H', W', 3) uint8."""
    large = enlarged(picture, zoom(picture))
    smooth = enlarge(heat, (large.shape[0], large.shape[1]))
    return overlay(large, smooth, limit)


def photograph(picture: ByteArray, title: str, words: str = "") -> Shown:
    """A picture (H, W, C) uint8 for the page; tiny ones in squares."""
    large = enlarged(picture, zoom(picture))
    return Shown(
        uri=data_uri(picture if zoom(picture) > 1 else large),
        width=large.shape[1],
        height=large.shape[0],
        title=title,
        words=words,
        is_exact=zoom(picture) > 1,
    )


def main_targets(image: ExplainedImage) -> tuple[int, ...]:
    """The places of the targets shown in full: all where they are few, else those of what was said
    and of the label.
    """
    if len(image.facts.targets) <= 2:
        return tuple(range(len(image.facts.targets)))
    said = {(said.head, said.classes[0]) for said in image.facts.said}
    said |= {(said.head, said.label) for said in image.facts.said if said.label is not None}
    chosen = [
        k for k, target in enumerate(image.facts.targets) if (target.head, target.name) in said
    ]
    return tuple(chosen) or (
        int(np.argmax([target.probability for target in image.facts.targets])),
    )


_PLAIN = {
    "grad-cam": "The brighter, the more this place speaks for {}; inside the white line at least "
    "half as much as the strongest place.",
    "guided-backprop": "Light marks the pixels that would raise {} most; mostly the edges of "
    "whatever is there.",
    "guided-grad-cam": "The same pixels, but only where the heat map finds {}.",
    "gradient": "Light marks the pixels that would raise {} if they were brighter.",
    "input-x-gradient": "Light marks the pixels that, as bright as they are, speak for {}.",
}
"""What a picture shows of a class, in words for people who see such a picture for the first time.

A method that is not here has its own sentence.
"""

_WHY = {
    "said": "what the network says",
    "label": "what it is, though the network says another",
    "asked": "asked for",
}


def light(gradient: FloatArray, title: str, words: str, box: Box | None = None) -> Shown:
    """A gradient (C, H, W), or what of it lies in a box, as light on black: ``max(0, g) / max``;
    and brighter.
    """
    highest, limit = float(gradient.max(initial=0.0)), bright_limit(gradient)
    whole = box or Box(0, 0, gradient.shape[1], gradient.shape[2])
    part = gradient[:, whole.top : whole.bottom, whole.left : whole.right]
    shown = photograph(lit(part, highest), title, words)
    if highest <= 0:
        return shown
    return replace(
        shown,
        legend="light",
        low="0",
        high=wording.score(highest),
        bright=data_uri(lit(part, limit)),
        bright_high=wording.score(limit),
    )


def _head(said: HeadSaid) -> ShownHead:
    bars = []
    for place, (name, share) in enumerate(zip(said.classes, said.probabilities, strict=True)):
        first: Literal["right", "wrong", "plain"] = "plain"
        if said.is_right is not None:
            first = "right" if said.is_right else "wrong"
        bars.append(
            Bar(
                name=name,
                share=share,
                words=wording.share(share),
                tone=first if place == 0 else "quiet",
                is_label=name == said.label,
            )
        )
    best = f"{said.classes[0]}, {wording.share(said.probabilities[0])}"
    if said.is_right is None:
        verdict = best
    elif said.is_right:
        verdict = f"{best}: right"
    else:
        verdict = f"{best}: wrong, it is {said.label}"
    return ShownHead(name=said.head, bars=tuple(bars), verdict=verdict, is_right=said.is_right)


def _target_title(target: ClassTarget, several: bool) -> str:
    head = f"{target.head}: " if several else ""
    return f"{head}{target.name}, {wording.share(target.probability)}"


def _size_words(picture: ByteArray) -> str:
    height, width, channels = picture.shape
    colours = "gray" if channels == 1 else "RGB"
    return f"{height} × {width} pixels, {colours}"

"""What was found by looking inside a network: per image arrays and facts, as plain values.

Nothing here knows how they were computed; :mod:`convoscope.runs.explanation_files` writes and
reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from convoscope.architecture.receptive_field import Box
from convoscope.arrays import ByteArray, FloatArray
from convoscope.notebook import sentences, table

Status: TypeAlias = Literal["running", "finished", "interrupted"]
ViewKind: TypeAlias = Literal["map", "gradient"]


Why: TypeAlias = Literal["said", "label", "asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSaid:
    """The most probable classes of a head, best first, and how probable each is, in [0, 1].

    ``label`` is the class that the image really has, where that is known.
    """

    head: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    label: str | None = None

    @property
    def is_right(self) -> bool | None:
        """Whether the most probable class is the label; ``None`` where there is no label."""
        return None if self.label is None else self.classes[0] == self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTarget:
    """A class that was explained: the ``index``-th of its head, with its probability.

    ``why``: it is what the network says, what the image is labelled, or it was asked for.
    """

    head: str
    index: int
    name: str
    probability: float
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNeuron:
    """A cell of a layer's output and its value; ``is_chosen`` by the user, else it is among the
    strongest. ``exact`` is the part of the image that reaches it, ``effective`` the part that its
    gradient says to matter, ``None`` for a silent neuron, whose gradient is 0 everywhere.
    """

    layer: str
    row: int
    column: int
    channel: int
    value: float
    exact: Box
    effective: Box | None
    is_chosen: bool = False

    @property
    def position(self) -> tuple[int, int, int]:
        """(row, column, channel)."""
        return self.row, self.column, self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewFacts:
    """Which method looked, whether it gave a map or a gradient, and the layer it looked at, or
    empty.
    """

    method: str
    kind: ViewKind
    layer: str

    @property
    def key(self) -> str:
        """The name of its array: ``grad-cam/conv2``."""
        return f"{self.method}/{self.layer}" if self.layer else self.method


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is known of an explained image besides its arrays."""

    name: str
    file: str
    said: tuple[HeadSaid, ...]
    targets: tuple[ClassTarget, ...]
    views: tuple[ViewFacts, ...]
    neurons: tuple[SeenNeuron, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What one method shows of each of T classes: heat (T, h, w), or gradients (T, C, H, W)."""

    facts: ViewFacts
    values: FloatArray = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedImage:
    """One image: ``picture`` (H, W, C) uint8 as the network sees it, what the network said, what
    was looked at. ``views`` are in the order of the facts' views, their classes in that of its
    targets. ``gradients`` (M, C, H, W) are those of the M neurons, ``maps`` (C, h, w), or a vector
    (C,), by layer.
    """

    facts: ImageFacts
    picture: ByteArray = field(repr=False)
    views: tuple[View, ...]
    gradients: FloatArray = field(repr=False)
    maps: Mapping[str, FloatArray] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSaid:
    """A method's name, title and what it does, in one sentence."""

    name: str
    title: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSaid:
    """A layer whose output was looked at: (C, h, w) or (C,), and its receptive field in pixels,
    ``None`` where it is not known.
    """

    name: str
    shape: tuple[int, ...]
    field: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What was explained and how: all of an explanation but the images and their arrays.

    ``network`` is the network's own name, ``source`` the run or the backbone it comes from;
    ``images_of`` says in a sentence which images were taken, empty if they were named.
    ``layers`` are those whose neurons were looked for and whose maps are kept.
    """

    network: str
    source: str
    engine: str
    input_shape: tuple[int, int, int]
    class_names: Mapping[str, tuple[str, ...]]
    methods: tuple[MethodSaid, ...]
    heat_layers: tuple[str, ...]
    layers: tuple[LayerSaid, ...]
    images_of: str = ""
    command: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanations:
    """What was found in a network and in each image.

    ``filters`` (F, C, k, k) by layer. ``problems`` are sentences on images that could not be read.
    """

    about: About
    images: tuple[ExplainedImage, ...]
    filters: Mapping[str, FloatArray] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """Per image what the network says, what looked at it and its strongest neuron, in a
        notebook.
        """
        header = ("image", "said", "looked at by", "strongest neuron")
        rows = [_shown(image.facts) for image in self.images]
        caption = f"{self.about.network}, looked into"
        return table(caption, header, rows) + sentences((*self.about.notes, *self.problems))


def _shown(facts: ImageFacts) -> tuple[str, str, str, str]:
    said = "; ".join(f"{one.classes[0]} {one.probabilities[0]:.2f}" for one in facts.said)
    views = ", ".join(view.key for view in facts.views)
    strongest = max(facts.neurons, key=lambda neuron: neuron.value, default=None)
    if strongest is None:
        return facts.name, said, views, "–"
    place = (
        f"{strongest.layer}, channel {strongest.channel} at ({strongest.row}, {strongest.column})"
    )
    return facts.name, said, views, f"{place}: {strongest.value:.3g}"

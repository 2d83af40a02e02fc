"""New heads for a pretrained trunk: what is learnt on the task's own images.

``linear`` is what most people should start with; the others are there because papers, tutorials
and courses use them. All layers that a head adds begin with ``head_``, so that no name of a
trunk is met again and ``--rate head_`` means them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head, trunk_shape, without_top
from convoscope.architecture.heads import with_heads
from convoscope.architecture.layers import (
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
)
from convoscope.errors import ArchitectureError, unknown_name

PREFIX = "head_"
"""How the names of all layers that a head adds begin."""

TOP = "top"
"""The head that keeps all of the pretrained one but its last layer."""

Layers: TypeAlias = tuple[AnyLayer, ...]


@dataclass(frozen=True, slots=True)
class HeadKind:
    """A head in a line, and its layers before the last one, which is dense, with as many units as
    there are classes; ``None`` where they are the pretrained head's own.

    A trunk that already gives a vector needs no pooling: the first of ``layers`` is then left out.
    """

    summary: str
    layers: Layers | None


def _hidden(units: int) -> Layers:
    return (Dense(f"{PREFIX}hidden", units, activation="relu"), Dropout(f"{PREFIX}dropout", 0.5))


HEADS: Mapping[str, HeadKind] = {
    "linear": HeadKind("mean of each map, then one dense layer", (GlobalAvgPool(f"{PREFIX}pool"),)),
    "flatten": HeadKind(
        "every value of every map, then one dense layer", (Flatten(f"{PREFIX}flatten"),)
    ),
    "max-512": HeadKind(
        "maximum of each map, 512 units, dropout 0.5, then one dense layer",
        (GlobalMaxPool(f"{PREFIX}pool"), *_hidden(512)),
    ),
    "avg-512": HeadKind(
        "mean of each map, 512 units, dropout 0.5, then one dense layer",
        (GlobalAvgPool(f"{PREFIX}pool"), *_hidden(512)),
    ),
    "mlp": HeadKind(
        "every value of every map, 256 units, dropout 0.5, then one dense layer",
        (Flatten(f"{PREFIX}flatten"), *_hidden(256)),
    ),
    TOP: HeadKind("the pretrained head with its last layer replaced", None),
}
"""Heads by name."""


_USUAL: Mapping[str, str] = {}


def with_head(architecture: Architecture, head: str, classes: Mapping[str, int]) -> Architecture:
    """The pretrained architecture's trunk with a new head for each question in ``classes``.

    ``classes`` are numbers of classes by head. Layers of the pretrained head that are kept
    (``top``) become part of the trunk: all questions share them.

    Raises:
        UnknownNameError: if there is no such head; names the nearest.
        ArchitectureError: if the pretrained head is to be kept, and has no last layer to replace.
    """
    kind = find_head(head)
    if kind.layers is None:
        trunk, last = _split_top(architecture)
    else:
        trunk = without_top(architecture)
        layers = kind.layers if len(trunk_shape(trunk)) == 3 else kind.layers[1:]
        last = (*layers, Dense(f"{PREFIX}dense", 2, initialisation="xavier"))
    return with_heads(replace(trunk, heads=(Head(layers=last),)), classes)


def usual_head(backbone: str) -> str:
    """The head that a backbone gets unless another one is asked for."""
    return _USUAL.get(backbone, "linear")


def find_head(name: str) -> HeadKind:
    """The head of that name.

    Raises:
        UnknownNameError: if there is none; names the nearest.
    """
    if name not in HEADS:
        raise unknown_name("head", name, HEADS)
    return HEADS[name]


def _split_top(architecture: Architecture) -> tuple[Architecture, Layers]:
    """The trunk with all that is kept of the only head, and the layers that replace the rest."""
    layers = architecture.heads[0].layers if len(architecture.heads) == 1 else ()
    for position in reversed(range(len(layers))):
        last = layers[position]
        if isinstance(last, Dense | Conv2d):
            kept = (*architecture.layers, *layers[:position])
            # SqueezeNet has a ReLU there; logits that may not be negative are harder to learn.
            fresh = replace(
                last, name=f"{PREFIX}{last.name}", activation=None, initialisation="xavier"
            )
            return replace(architecture, layers=kept, heads=()), (fresh, *layers[position + 1 :])
    raise ArchitectureError(
        f"{architecture.name}: head 'top' keeps a pretrained head that ends in a dense or conv "
        "layer, this one has none: choose another, such as 'linear'"
    )

"""An architecture cut in two at a layer of its trunk: a front that gives maps, a tail after it.

The two compose to the whole: what the front gives for an image, the tail turns into the whole's
logits. Layers keep their names, so that the parameters of the whole are those of the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from convoscope.architecture.graph import Architecture, unknown_layer
from convoscope.architecture.layers import Flatten
from convoscope.errors import ArchitectureError

Value = TypeVar("Value")


def front(architecture: Architecture, layer: str) -> Architecture:
    """The trunk from the image to ``layer``, that one included; without heads.

    Raises:
        UnknownNameError: if there is no such layer.
        ArchitectureError: if the layer is inside another one, or in a head.
    """
    cut = _position(architecture, layer)
    return replace(
        architecture,
        name=f"{architecture.name} up to {layer}",
        layers=architecture.layers[:cut],
        heads=(),
    )


def tail(architecture: Architecture, layer: str) -> Architecture:
    """What comes after ``layer``: the rest of the trunk and the heads.

    Its input is what the layer gives: maps ``(C, h, w)``, or a vector ``(K,)`` as ``(K, 1, 1)``,
    which a flatten makes a vector again.

    Raises:
        UnknownNameError: if there is no such layer.
        ArchitectureError: if the layer is inside another one, or in a head.
    """
    cut = _position(architecture, layer)
    given, rest = architecture.place(layer).output_shape, architecture.layers[cut:]
    is_vector = len(given) == 1
    return replace(
        architecture,
        name=f"{architecture.name} after {layer}",
        input_shape=(*given, 1, 1) if is_vector else given,
        layers=(Flatten(_unused(architecture, f"{layer}-vector")), *rest) if is_vector else rest,
    )


def parameters_of(architecture: Architecture, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """Those ``{"layer.parameter": value}`` whose layer the architecture has."""
    names = frozenset(architecture.layer_names)
    return {key: value for key, value in parameters.items() if key.partition(".")[0] in names}


def _unused(architecture: Architecture, name: str) -> str:
    while name in architecture.layer_names:
        name += "-"
    return name


def _position(architecture: Architecture, layer: str) -> int:
    """How many layers of the trunk the front has."""
    trunk = [each.name for each in architecture.layers]
    if layer in trunk:
        return trunk.index(layer) + 1
    if layer not in architecture.layer_names:
        raise unknown_layer(layer, trunk)
    raise ArchitectureError(
        f"{architecture.name}: a network is cut after a layer of its trunk, {layer!r} is inside a "
        f"branch or a head: cut after one of {', '.join(trunk) or 'none'}"
    )

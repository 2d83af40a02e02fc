"""Whose output a layer is given: the order of computing, read backwards."""

from __future__ import annotations

from collections.abc import Sequence

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, branches


def sources(architecture: Architecture) -> dict[str, str | None]:
    """For each layer the one whose output it is given, ``None`` for the image.

    The first layer of a branch, and a layer that joins branches, have the source of the whole
    branching; the first layer of a head has the last one of the trunk.
    """
    found: dict[str, str | None] = {}
    trunk = _follow(architecture.layers, None, found)
    for head in architecture.heads:
        _follow(head.layers, trunk, found)
    return found


def _follow(
    layers: Sequence[AnyLayer], before: str | None, found: dict[str, str | None]
) -> str | None:
    """Put each layer's source into ``found``; the last layer's name, or what came before."""
    for layer in layers:
        found[layer.name] = before
        for branch in branches(layer):
            _follow(branch, before, found)
        before = layer.name
    return before

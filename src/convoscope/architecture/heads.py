"""One head becomes several: a copy of it for each question that is asked of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.graph import Architecture, Head, branches, with_classes
from convoscope.errors import ArchitectureError, placed


def with_heads(architecture: Architecture, classes: Mapping[str, int]) -> Architecture:
    """The network with a head of each name in ``classes``, each telling so many classes apart.

    A network that has these heads already keeps them. Otherwise its only head is copied, and the
    layers of each copy are called ``<head>-<layer>``; a single copy keeps its layers' names.

    Raises:
        ArchitectureError: if the network has other heads, and not a single one that could be
            copied; or a name cannot be a head's.
    """
    if {head.name for head in architecture.heads} == set(classes):
        return with_classes(architecture, classes)
    if len(architecture.heads) != 1:
        names = ", ".join(sorted(head.name for head in architecture.heads))
        raise ArchitectureError(
            f"{architecture.name}: the network's heads must be what the data labels "
            f"({', '.join(sorted(classes))}), or a single one that can be copied, got "
            f"{names or 'none'}: name the heads like that, or choose another network"
        )
    (original,) = architecture.heads
    taken = set(_names(architecture.layers))
    copies = [
        replace(original, name=name) if len(classes) == 1 else _copied(original, name, taken)
        for name in classes
    ]
    with placed(architecture.name):
        return with_classes(replace(architecture, heads=tuple(copies)), classes)


def with_thresholds(architecture: Architecture, thresholds: Mapping[str, float]) -> Architecture:
    """The network whose heads answer with their second class from that probability on.

    Raises:
        UnknownNameError: if there is no such head; names the nearest.
        ArchitectureError: if a threshold is no probability, or its head no single sigmoid.
    """
    for name in thresholds:
        architecture.head(name)
    heads = tuple(
        replace(head, threshold=thresholds.get(head.name, head.threshold))
        for head in architecture.heads
    )
    return replace(architecture, heads=heads)


def _copied(head: Head, name: str, taken: set[str]) -> Head:
    """The head under a new name, its layers under names that are not ``taken``, which grows."""
    prefix = name
    # A layer of the trunk may have that very name; it can be no prefix of all of them.
    while any(f"{prefix}-{layer}" in taken for layer in _names(head.layers)):
        prefix += "-"
    taken.update(f"{prefix}-{layer}" for layer in _names(head.layers))
    return replace(head, name=name, layers=_renamed(head.layers, prefix))


def _renamed(layers: Sequence[AnyLayer], prefix: str) -> tuple[AnyLayer, ...]:
    return tuple(_renamed_layer(layer, prefix) for layer in layers)


def _renamed_layer(layer: AnyLayer, prefix: str) -> AnyLayer:
    name = f"{prefix}-{layer.name}"
    match layer:
        case Residual():
            body, shortcut = _renamed(layer.body, prefix), _renamed(layer.shortcut, prefix)
            return replace(layer, name=name, body=body, shortcut=shortcut)
        case Parallel():
            inner = tuple(_renamed(branch, prefix) for branch in layer.branches)
            return replace(layer, name=name, branches=inner)
        case _:
            return replace(layer, name=name)


def _names(layers: Sequence[AnyLayer]) -> Iterator[str]:
    """The names of the layers and of those inside them."""
    for layer in layers:
        yield layer.name
        for branch in branches(layer):
            yield from _names(branch)

"""How deep the parameters of a network lie: its layers with weights and its blocks, in order.

A unit is a layer with weights together with what belongs to it: its bias, and the batch norm and
other layers without a weight matrix that follow it. A block is a run of units that the network's
author named alike (``block5_conv1`` ... ``block5_conv4``, ``fire9_...``, ``layer4.2....``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from convoscope import engines
from convoscope.architecture.branches import Adopted, AnyLayer
from convoscope.architecture.graph import Architecture, branches, walk, without_top
from convoscope.architecture.protocol import Shape
from convoscope.engines.weights import parameter_shapes

_NUMBERED = re.compile(r"\D*\d+")
_INSIDE = re.compile(r"[^.]+(\.\d+)+(\.blocks(\.\d+)+)?|[^.]+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A layer with weights: its name (inside an adopted network its path), its block, and the
    names of all its parameters and of those that belong to it.
    """

    name: str
    block: str
    parameters: tuple[str, ...]


def shapes_in_order(architecture: Architecture) -> dict[str, Shape]:
    """``{"layer.parameter": shape}`` of every parameter and buffer in computing order, those
    inside adopted layers too.

    Raises:
        MissingDependencyError: if an adopted layer needs a library that is not installed.
    """
    shapes: dict[str, Shape] = {}
    own = parameter_shapes(architecture)
    for place in walk(architecture):
        layer = place.layer
        if isinstance(layer, Adopted):
            found = engines.blueprint(layer.source, place.input_shape, cut=layer.cut).shapes
            inside = (name.partition(".")[2] for name in found)
            shapes |= dict(zip((f"{layer.name}.{n}" for n in inside), found.values(), strict=True))
        else:
            shapes |= {n: s for n, s in own.items() if n.startswith(f"{layer.name}.")}
    return shapes


def trunk_units(architecture: Architecture) -> tuple[Unit, ...]:
    """The units of the trunk, the one nearest to the image first."""
    trunk = without_top(architecture)
    blocks = {
        name: _block_name(layer.name) for layer in trunk.layers for name in _names_inside(layer)
    }
    adopted = {layer.name for layer in trunk.layers if isinstance(layer, Adopted)}
    return tuple(_units(shapes_in_order(trunk), blocks, adopted))


def head_units(architecture: Architecture) -> dict[str, tuple[Unit, ...]]:
    """Per head its units, the one nearest to the trunk first."""
    own = parameter_shapes(architecture)
    found = {}
    for head in architecture.heads:
        names = [name for layer in head.layers for name in _names_inside(layer)]
        shapes = {n: s for n, s in own.items() if n.partition(".")[0] in names}
        found[head.name] = tuple(_units(shapes, dict.fromkeys(names, head.name), set()))
    return found


def blocks_of(units: Sequence[Unit]) -> tuple[tuple[str, tuple[Unit, ...]], ...]:
    """The blocks in order, each with its units."""
    return tuple((name, tuple(same)) for name, same in groupby(units, lambda unit: unit.block))


def _units(
    shapes: Mapping[str, Shape], blocks: Mapping[str, str], adopted: set[str]
) -> Iterator[Unit]:
    """Layers in the order of their parameters; one without a weight matrix joins the last."""
    pending: list[Unit] = []
    for owner, names in groupby(shapes, lambda name: name.rpartition(".")[0]):
        parameters = tuple(names)
        layer, _, path = owner.partition(".")
        inside = _INSIDE.match(path) if layer in adopted else None
        unit = Unit(path or owner, inside[0] if inside else blocks[layer], parameters)
        is_weighted = any(len(shapes[name]) >= 2 for name in parameters)
        if not is_weighted and pending:
            pending[-1] = _joined(pending[-1], unit)
        elif pending and not _has_weights(pending[-1], shapes):
            pending[-1] = _joined(unit, pending[-1])
        else:
            pending.append(unit)
    yield from pending


def _block_name(layer: str) -> str:
    """A layer's name up to its first number, which the layers of a block share."""
    found = _NUMBERED.match(layer)
    return found[0] if found else layer


def _has_weights(unit: Unit, shapes: Mapping[str, Shape]) -> bool:
    return any(len(shapes[name]) >= 2 for name in unit.parameters)


def _joined(unit: Unit, other: Unit) -> Unit:
    return Unit(unit.name, unit.block, (*unit.parameters, *other.parameters))


def _names_inside(layer: AnyLayer) -> Iterator[str]:
    yield layer.name
    for chain in branches(layer):
        for inner in chain:
            yield from _names_inside(inner)

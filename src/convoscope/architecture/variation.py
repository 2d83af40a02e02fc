"""An architecture changed a little: a field of a layer, or layers added, removed, replaced.

A layer is named as it stands in the network, at whatever depth and in whatever head; ``every
conv2d`` names all layers of that kind. Edits are plain values as YAML has them::

    - {remove: norm1}
    - {replace: pool1, with: [{kind: conv2d, name: pool1, filters: 32, kernel_size: 2, stride: 2}]}
    - {after: conv1, add: [{kind: batch_norm}, {kind: activation}]}
    - {before: every dense, add: [{kind: dropout, rate: 0.5}]}

What comes out is checked like any other architecture: a network that cannot be is refused by its
arithmetic, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias

from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.decoding import (
    KINDS,
    Names,
    decode_layers,
    given_names,
    shown,
    with_field,
)
from convoscope.architecture.graph import Architecture, unknown_layer
from convoscope.errors import ArchitectureError, placed, unknown_name

Rewrite: TypeAlias = Callable[[AnyLayer], tuple[AnyLayer, ...]]

_EVERY = "every "
_VERBS = {"remove": None, "replace": "with", "before": "add", "after": "add"}


def field_value(architecture: Architecture, layer: str, field: str) -> object:
    """What a layer's field is, for ``every KIND`` that of the first of them.

    Raises:
        UnknownNameError: if there is no such layer or field; names the nearest.
    """
    found = _targets(architecture, layer)[0]
    known = [f.name for f in fields(found) if f.name not in ("name", "kind")]
    if field not in known:
        with placed(f"layer {found.name!r}"):
            raise unknown_name(f"field of a {found.kind} layer", field, known)
    value: object = getattr(found, field)
    return value


def varied(
    architecture: Architecture,
    values: Mapping[tuple[str, str], object],
    edits: Sequence[object] = (),
) -> Architecture:
    """The architecture with other values under (layer, field), then edited; one after the other.

    Only what comes out in the end has to fit together.

    Raises:
        UnknownNameError: if something names what is not there; names the nearest.
        ArchitectureError: if a value or an edit is not what it must be.
        ShapeError: if some layer no longer fits what it is given.
    """
    chains = _Chains(architecture)
    for (layer, field), value in values.items():
        chains.set(layer, field, value)
    for number, edit in enumerate(edits):
        with placed(f"layers[{number}]"):
            chains.edit(edit)
    return chains.joined()


class _Chains:
    """An architecture's chains of layers while they are edited: they need not fit meanwhile."""

    def __init__(self, architecture: Architecture) -> None:
        self._whole = architecture
        self._trunk = architecture.layers
        self._heads = [head.layers for head in architecture.heads]

    def set(self, layer: str, field: str, value: object) -> None:
        """Give a field of a layer, or of every layer of a kind, that value."""
        chosen = {found.name for found in _named(self._layers(), layer)}
        self._rewrite(
            lambda one: (with_field(one, field, value),) if one.name in chosen else (one,)
        )

    def edit(self, edit: object) -> None:
        """Do one edit."""
        verb, target, content = _read(edit)
        layers = self._layers()
        chosen = {layer.name for layer in _named(layers, target)}
        names = Names({layer.name for layer in layers} | given_names(content))

        def rewrite(layer: AnyLayer) -> tuple[AnyLayer, ...]:
            if layer.name not in chosen:
                return (layer,)
            new = decode_layers(content, where=str(_VERBS[verb]), names=names) if content else ()
            match verb:
                case "before":
                    return (*new, layer)
                case "after":
                    return (layer, *new)
                case _:
                    return new

        self._rewrite(rewrite)

    def joined(self) -> Architecture:
        """The architecture that the chains make, checked."""
        heads = tuple(
            replace(head, layers=layers)
            for head, layers in zip(self._whole.heads, self._heads, strict=True)
        )
        return replace(self._whole, layers=self._trunk, heads=heads)

    def _layers(self) -> list[AnyLayer]:
        return [layer for chain in (self._trunk, *self._heads) for layer in _flat(chain)]

    def _rewrite(self, rewrite: Rewrite) -> None:
        self._trunk = _through(self._trunk, rewrite)
        self._heads = [_through(chain, rewrite) for chain in self._heads]


def _read(edit: object) -> tuple[str, str, list[Any]]:
    """What is to be done, where, and with which layers."""
    if not isinstance(edit, Mapping) or not (verbs := edit.keys() & _VERBS.keys()):
        if isinstance(edit, Mapping) and edit:
            raise unknown_name("edit of layers", str(next(iter(edit))), _VERBS)
        raise ArchitectureError(
            f"an edit must be a mapping with one of {', '.join(_VERBS)}, got {shown(edit)}"
        )
    verb = min(verbs)
    key = _VERBS[verb]
    for other in edit.keys() - {verb}:
        if other != key:
            raise unknown_name(f"key of an edit that says {verb!r}", str(other), [key or verb])
    if key is not None and not isinstance(edit.get(key), list):
        raise ArchitectureError(
            f"{verb}: must have a list of layers under {key!r}, got {shown(edit.get(key))}"
        )
    return verb, str(edit[verb]), list(edit[key]) if key else []


def _through(layers: Sequence[AnyLayer], rewrite: Rewrite) -> tuple[AnyLayer, ...]:
    """Every layer rewritten, those inside branches first."""
    return tuple(new for layer in layers for new in rewrite(_inside(layer, rewrite)))


def _inside(layer: AnyLayer, rewrite: Rewrite) -> AnyLayer:
    match layer:
        case Residual():
            body, shortcut = _through(layer.body, rewrite), _through(layer.shortcut, rewrite)
            return replace(layer, body=body, shortcut=shortcut)
        case Parallel():
            inner = tuple(_through(branch, rewrite) for branch in layer.branches)
            return replace(layer, branches=inner)
        case _:
            return layer


def _targets(architecture: Architecture, name: str) -> list[AnyLayer]:
    heads = (layer for head in architecture.heads for layer in _flat(head.layers))
    return _named([*_flat(architecture.layers), *heads], name)


def _named(layers: Sequence[AnyLayer], name: str) -> list[AnyLayer]:
    """The layers that a name, or ``every KIND``, stands for; at least one."""
    if not name.startswith(_EVERY):
        found = [layer for layer in layers if layer.name == name]
        if not found:
            raise unknown_layer(name, [layer.name for layer in layers])
        return found
    kind = name.removeprefix(_EVERY)
    if kind not in KINDS:
        raise unknown_name("kind of layer", kind, KINDS)
    if not (found := [layer for layer in layers if layer.kind == kind]):
        raise unknown_name("kind of layer in this network", kind, {lay.kind for lay in layers})
    return found


def _flat(layers: Sequence[AnyLayer]) -> list[AnyLayer]:
    """The layers and those inside them."""
    every: list[AnyLayer] = []

    def note(layer: AnyLayer) -> tuple[AnyLayer, ...]:
        every.append(layer)
        return (layer,)

    _through(layers, note)
    return every

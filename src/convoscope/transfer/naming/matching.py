"""Which array of a foreign file is which parameter of ours, as one origin names them."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.layers import Dense
from convoscope.arrays import Array, FloatArray
from convoscope.transfer.naming.origins import Origin
from convoscope.transfer.naming.slots import Slot, slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How far a file's arrays are an architecture's parameters.

    ``found`` has, per slot, the name in the file; ``missing`` the slots without one, ``strange``
    the convolution kernels in the file that the architecture has no place for. ``fitting`` counts
    the found arrays that have as many values as their slot.
    """

    origin: Origin
    architecture: Architecture
    found: Mapping[Slot, str]
    missing: tuple[Slot, ...]
    strange: tuple[str, ...]
    fitting: int

    @property
    def fits(self) -> bool:
        """Whether every parameter has an array of its size, and no convolution is left over."""
        return not self.missing and not self.strange and self.fitting == len(self.found)

    def expected(self, slot: Slot) -> str:
        """What this origin would call the slot."""
        return spelled(self.origin, self.architecture, slot)[0]


def match(origin: Origin, architecture: Architecture, arrays: Mapping[str, Array]) -> Match:
    """Look every parameter up under the names that ``origin`` would give it."""
    layers = origin.layers(architecture)
    known = _published(origin).union(layers.values())
    found: dict[Slot, str] = {}
    missing: list[Slot] = []
    for slot in slots(architecture):
        layer = layers.get(slot.layer.name, slot.layer.name)
        names = (layer + spelling for spelling in origin.dialect.spellings(slot))
        name = next((name for name in names if name in arrays), None)
        if name is None:
            missing.append(slot)
        else:
            found[slot] = name
    return Match(
        origin=origin,
        architecture=architecture,
        found=found,
        missing=tuple(missing),
        strange=_strange(arrays, set(found.values()), known),
        fitting=sum(_is_of_size(arrays[name], slot) for slot, name in found.items()),
    )


def spelled(origin: Origin, architecture: Architecture, slot: Slot) -> tuple[str, ...]:
    """The names that ``origin`` may give a slot."""
    layer = origin.layers(architecture).get(slot.layer.name, slot.layer.name)
    return tuple(layer + spelling for spelling in origin.dialect.spellings(slot))


def _is_of_size(array: FloatArray, slot: Slot) -> bool:
    """Whether there are enough values; TF Lite's classes have one more, "background"."""
    wanted = math.prod(slot.shape)
    with_background = wanted + wanted // slot.shape[0] if isinstance(slot.layer, Dense) else wanted
    return array.size in (wanted, with_background)


def _strange(
    arrays: Mapping[str, Array], used: set[str], layers: frozenset[str]
) -> tuple[str, ...]:
    """Kernels (4 axes) of layers that are neither the network's nor a part of its top.

    A file may hold a head of its author's own, dense layers which nobody asks for; a convolution
    that is left over means that it is another network's file.
    """
    return tuple(
        name
        for name, array in arrays.items()
        if array.ndim == 4 and name not in used and _layer_of(name) not in layers
    )


def _layer_of(name: str) -> str:
    return name[: max(name.rfind("/"), name.rfind("."))]


@functools.cache
def _published(origin: Origin) -> frozenset[str]:
    """Their names of all layers of the network, top and all."""
    if not origin.builds:
        return frozenset()
    size = origin.preprocessing.size if origin.preprocessing else (224, 224)
    return frozenset(origin.layers(origin.builds[0]((3, *size))).values())


def has_head(found: Match) -> bool:
    """Whether the file holds any of the parameters of the architecture's heads."""
    in_heads = {p.layer.name for p in walk(found.architecture) if p.head is not None}
    return any(slot.layer.name in in_heads for slot in found.found)

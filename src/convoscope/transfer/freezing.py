"""What of a network stays as it is while the rest learns, and where it can be cut off.

Whatever lies below the first layer that learns gives the same for an image in every epoch: it is
computed once (:mod:`convoscope.transfer.features`) and kept once on disk, however many runs use it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convoscope import engines
from convoscope.architecture.branches import Adopted, AnyLayer
from convoscope.architecture.cutting import front, tail
from convoscope.architecture.graph import Architecture, branches
from convoscope.architecture.layers import Dropout
from convoscope.arrays import FloatArray
from convoscope.data.cache import cache_folder
from convoscope.runs import files


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """An architecture in two: all that lies below the first layer that learns, and the rest.

    ``frozen`` are the names of the first part's parameters. ``place`` names where it ends.
    """

    place: str
    first: Architecture
    frozen: frozenset[str]
    rest: Architecture


def divided(architecture: Architecture, multipliers: Mapping[str, float]) -> Division | None:
    """The architecture where what is frozen ends; ``None`` where already the first layer learns,
    or an adopted network's code hides how it could be divided.
    """
    if (layer := last_frozen(architecture, multipliers)) is not None:
        first = front(architecture, layer)
        names = {name for inner in first.layers for name in _names_inside(inner)}
        return Division(
            place=layer,
            first=first,
            frozen=frozenset(n for n in multipliers if n.partition(".")[0] in names),
            rest=tail(architecture, layer),
        )
    return _divided_inside(architecture, multipliers)


def _divided_inside(
    architecture: Architecture, multipliers: Mapping[str, float]
) -> Division | None:
    """The architecture divided inside the adopted network that it begins with."""
    adopted = architecture.layers[0] if architecture.layers else None
    if not isinstance(adopted, Adopted):
        return None
    prefix = f"{adopted.name}."
    learning = frozenset(
        name.removeprefix(prefix)
        for name, rate in multipliers.items()
        if name.startswith(prefix) and rate > 0 and not is_statistic(name)
    )
    split = engines.split(
        adopted.source, architecture.input_shape, cut=adopted.cut, learning=learning
    )
    if split is None:
        return None
    first, rest = (replace(part, name=adopted.name) for part in (split.front, split.rest))
    name, image = architecture.name, architecture.input_shape
    return Division(
        place=first.cut,
        first=Architecture(name=f"{name} up to {first.cut}", input_shape=image, layers=(first,)),
        frozen=frozenset(prefix + inner for inner in split.front_names),
        rest=replace(
            architecture,
            name=f"{name} after {first.cut}",
            input_shape=first.maps,
            layers=(rest, *architecture.layers[1:]),
        ),
    )


def last_frozen(architecture: Architecture, multipliers: Mapping[str, float]) -> str | None:
    """The layer of the trunk that ends what is frozen; ``None`` where already the first one learns.

    ``multipliers`` of the learning rate are by parameter name, as
    :func:`convoscope.engines.learning.multipliers` gives them; 0 is frozen. Layers without
    parameters belong to what stands before them, but dropout to what it is there for.
    """
    learning = {name.partition(".")[0] for name, rate in multipliers.items() if rate > 0}
    found = None
    for layer in architecture.layers:
        if learning & set(_names_inside(layer)):
            return found
        if not isinstance(layer, Dropout):
            found = layer.name
    return found


def weights_hash(parameters: Mapping[str, FloatArray]) -> str:
    """The SHA-256 of names, shapes, types and values."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        array = parameters[name]
        digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def frozen_file(parameters: Mapping[str, FloatArray], *, cache_dir: Path | None = None) -> Path:
    """A safetensors file of these parameters in the cache, written unless it is there already.

    Runs hold a hard link to it, so that many runs on one backbone take its room once.

    Raises:
        StorageError: if the cache's disk is full or not writable.
    """
    folder = (cache_dir or cache_folder()) / "frozen"
    file = folder / f"{weights_hash(parameters)[:40]}.safetensors"
    if not file.is_file():
        files.write_arrays(folder, file.name, parameters)
    return file


def is_statistic(parameter: str) -> bool:
    """Whether it is a running statistic of batch norm, which is remembered and not learnt."""
    return parameter.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")


def _names_inside(layer: AnyLayer) -> Iterator[str]:
    yield layer.name
    for chain in branches(layer):
        for inner in chain:
            yield from _names_inside(inner)

"""Weight files of others, brought into the store: read, named as ours are, checked and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convoscope import engines
from convoscope.architecture.graph import Architecture, logit_shapes
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.download import sha256_of
from convoscope.errors import WeightsError, placed
from convoscope.transfer.catalogue import ZOO, Backbone, backbone
from convoscope.transfer.foreign import fitted, likely, listed
from convoscope.transfer.readers import ForeignWeights, read
from convoscope.transfer.store import Provenance, Stored, keep

UNSTATED = "not stated by the file"

_TRUNK = "trunk."
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_COUNTER = "num_batches_tracked"
_ONLY_FOR_TRAINING = ("AuxLogits.",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A file's network: the architecture as whoever trained it renders it, parameters under our
    names, and how images must be prepared for it; without heads where the file has no top.
    """

    architecture: Architecture
    arrays: Mapping[str, Array]
    preprocessing: Preprocessing


def importing(
    path: Path,
    as_name: str | Backbone,
    *,
    place: str | None = None,
    licence: str | None = None,
    commit: str = "",
) -> Stored:
    """Put a weight file into the store as a backbone's weights, in place of any that are there.

    ``place`` is where the file came from, by default its own name; ``licence`` is what that place
    says, by default the catalogue's if it is the very file that the catalogue pins.

    Raises:
        UnknownNameError: if there is no such backbone.
        WeightsError: if the file cannot be read, or holds another network's weights.
        StorageError: if the disk is full or not writable.
    """
    chosen = backbone(as_name) if isinstance(as_name, str) else as_name
    digest = fingerprint(path)
    foreign = read(path)
    with placed(f"{path}: as {chosen.name!r}"):
        found = fit(chosen, foreign)
    pinned = chosen.origin.sha256
    known = chosen.licence if pinned and digest.startswith(pinned) else UNSTATED
    stored = Stored(
        name=chosen.name,
        source=chosen.source,
        input_shape=found.architecture.input_shape,
        preprocessing=found.preprocessing,
        classes=sum(shape[0] for shape in logit_shapes(found.architecture).values()),
        parameters=_learnt(found.arrays),
        licence=licence or known,
        origin=Provenance(
            place=place or path.name, format=foreign.format, sha256=digest, commit=commit
        ),
    )
    return keep(stored, found.architecture, found.arrays)


def fit(chosen: Backbone, foreign: ForeignWeights) -> Fitted:
    """A file's arrays as a backbone's parameters.

    Raises:
        WeightsError: if a parameter is missing, has another shape, or is nowhere in the backbone.
    """
    return _fit_ours(chosen, foreign) if chosen.is_ours else _fit_adopted(chosen, foreign)


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file; of a folder that of its files' names and hashes, by name.

    Raises:
        WeightsError: if it is not there.
    """
    if path.is_file():
        return sha256_of(path)
    if not path.is_dir():
        raise WeightsError(
            f"{path}: a weight file or a model's folder must be there, found none: check the path"
        )
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def _fit_ours(chosen: Backbone, foreign: ForeignWeights) -> Fitted:
    """As the file's origin renders the network: paddings and batch norms differ, and pixels."""
    found = fitted(chosen.source.removeprefix(ZOO), foreign)
    return Fitted(
        architecture=found.architecture,
        arrays=found.parameters,
        preprocessing=found.preprocessing or chosen.preprocessing,
    )


def _fit_adopted(chosen: Backbone, foreign: ForeignWeights) -> Fitted:
    """Names as timm has them, below the adopted layer's; other publishers' names if timm knows
    them.
    """
    trunk = engines.blueprint(chosen.source, chosen.input_shape, cut=chosen.features)
    whole = (
        engines.blueprint(chosen.source, chosen.input_shape, cut="") if chosen.classes else trunk
    )
    arrays = _named(foreign.arrays, whole.shapes)
    if not trunk.shapes.keys() <= arrays.keys():
        arrays = _named(engines.renamed(chosen.source, foreign.arrays), whole.shapes)
    top = whole.shapes.keys() - trunk.shapes.keys()
    plan = whole if top & arrays.keys() else trunk
    _check_adopted(chosen, foreign, arrays, plan.shapes)
    return Fitted(architecture=plan.architecture, arrays=arrays, preprocessing=chosen.preprocessing)


def _check_adopted(
    chosen: Backbone,
    foreign: ForeignWeights,
    arrays: Mapping[str, Array],
    shapes: Mapping[str, Shape],
) -> None:
    """Nothing, if there is an array of the right shape for each parameter, and none besides."""
    missing = [name.removeprefix(_TRUNK) for name in shapes if name not in arrays]
    strange = [name.removeprefix(_TRUNK) for name in arrays if name not in shapes]
    if missing or strange:
        other = likely(foreign)
        advice = f"it fits {other}; choose that" if other else "give a file of this network"
        found = f"lacks {listed(missing)}" if missing else f"also has {listed(strange)}"
        raise WeightsError(
            f"weights must be those of every module of {chosen.source} and of no other, this file "
            f"of {len(foreign.arrays)} arrays {found}: {advice}"
        )
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise WeightsError(
                f"{name.removeprefix(_TRUNK)!r} of {chosen.source} must have the shape {shape}, "
                f"found {arrays[name].shape}: give weights of the same network, with as many "
                "classes and for the same input size"
            )


def _named(arrays: Mapping[str, Array], shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Below the adopted layer's name, without what only training uses, with counters of batches:
    readers leave those out, as they are no weights, and nothing that we compute looks at them.
    """
    named: dict[str, Array] = {
        _TRUNK + name: array
        for name, array in arrays.items()
        if not name.startswith(_ONLY_FOR_TRAINING)
    }
    counters = {name for name in shapes if name.endswith(_COUNTER)}
    return named | {name: np.zeros((), np.int64) for name in counters - named.keys()}


def _learnt(arrays: Mapping[str, Array]) -> int:
    """How many values are weights, and not the running statistics of batch norm."""
    return sum(
        array.size
        for parameter, array in arrays.items()
        if parameter.rpartition(".")[2] not in _STATISTICS
    )

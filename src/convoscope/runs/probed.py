"""What a run's probe images looked like to its network, epoch by epoch: the files in ``probe/``.

``probe.json`` says which images and which layers, ``images.npz`` holds the images made small, and
``epoch-00007.safetensors`` what the network made of them after epoch 7, as one byte per value.
An epoch's file depends on that epoch alone, so that a run that was stopped and went on has the
same files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from convoscope import disk
from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.errors import RunError
from convoscope.runs import files

FOLDER: Final = "probe"
MOST_EPOCHS: Final = 24
"""No more epochs than these stay; see :func:`kept_epochs`."""

_SCHEMA_VERSION: Final = 1
_MANIFEST, _IMAGES = f"{FOLDER}/probe.json", f"{FOLDER}/images.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedLayer:
    """A layer whose maps are kept, ``channels`` of them, the same in every epoch."""

    name: str
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """What is kept of which images: ids, and their labels as indices into the head's classes.

    Grad-CAM is that of the label, at ``heat_layer``. ``filters`` are numbers of filters of
    ``filter_layer``, the first convolution.
    """

    split: str
    head: str
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    labels: tuple[int, ...]
    heat_layer: str
    layers: tuple[ProbedLayer, ...]
    filter_layer: str
    filters: tuple[int, ...]
    schema_version: int = field(default=_SCHEMA_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbedEpoch:
    """What the network made of the N images after an epoch; 0 is before the first.

    ``probabilities`` (N, K); ``heat`` (N, h, w), none below 0; ``maps`` by layer (N, M, h, w);
    ``filters`` (F, C, k, k).
    """

    epoch: int
    probabilities: FloatArray
    heat: FloatArray
    maps: Mapping[str, FloatArray]
    filters: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probed:
    """All that ``probe/`` holds; ``images`` (N, h, w, C) uint8."""

    plan: ProbePlan
    images: ByteArray
    epochs: tuple[ProbedEpoch, ...]


_PLAN = TypeAdapter(ProbePlan)


def kept_epochs(last: int) -> tuple[int, ...]:
    """The epochs that are kept after ``last`` of them: all of few; of many every second, fourth,
    eighth ... from 0 on, and the last.

    What is kept later was always kept before, so that no epoch has to be known beforehand.
    """
    step = 1
    while last // step + 2 > MOST_EPOCHS:
        step *= 2
    return tuple(dict.fromkeys([*range(0, last + 1, step), last]))


def begin_probe(run: Path, plan: ProbePlan, images: ByteArray) -> None:
    """Write what is the same in all epochs; ``images`` (N, h, w, C) are small ones."""
    files.write_json(run, _MANIFEST, asdict(plan))
    files.write_samples(run, _IMAGES, plan.ids, images)


def keep_epoch(run: Path, found: ProbedEpoch) -> None:
    """Write an epoch, and delete those that are no longer to be kept, or come after it."""
    arrays: dict[str, Array] = {"probabilities": found.probabilities.astype(np.float32)}
    layers = {f"maps/{name}": maps for name, maps in found.maps.items()}
    for name, values in ({"heat": found.heat, "filters": found.filters} | layers).items():
        arrays[name], arrays[f"{name}/range"] = _as_bytes(values)
    files.write_arrays(run, _name(found.epoch), arrays)
    keep_only(run, kept_epochs(found.epoch))


def keep_only(run: Path, epochs: Iterable[int]) -> None:
    """Delete the files of all other epochs."""
    names = {Path(_name(epoch)).name for epoch in epochs}
    with disk.storing(run / FOLDER):
        for file in (run / FOLDER).glob("epoch-*.safetensors"):
            if file.name not in names:
                file.unlink()


def read_probed(run: Path) -> Probed | None:
    """What the run has kept of its probe images; ``None`` where nothing was asked for.

    Raises:
        RunError: if a file is missing or not whole.
    """
    if not (run / _MANIFEST).exists():
        return None
    plan = _read_plan(run)
    small = files.read_samples(run, _IMAGES)
    names = sorted((run / FOLDER).glob("epoch-*.safetensors"))
    try:
        return Probed(
            plan=plan,
            images=np.stack([small[id_] for id_ in plan.ids]),
            epochs=tuple(_read_epoch(run, plan.layers, file) for file in names),
        )
    except (KeyError, ValueError) as error:
        raise RunError(
            f"{run / FOLDER}: must hold the probe images and what became of them, reading it gave "
            f"{error!r}: delete that folder, the report then does without it"
        ) from error


def _read_plan(run: Path) -> ProbePlan:
    try:
        return _PLAN.validate_python(files.read_json(run, _MANIFEST))
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(
            f"{run / _MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}: "
            f"delete the folder {FOLDER}, the report then does without it"
        ) from error


def _read_epoch(run: Path, layers: Sequence[ProbedLayer], file: Path) -> ProbedEpoch:
    arrays = files.read_arrays(run, f"{FOLDER}/{file.name}")

    def values(name: str) -> FloatArray:
        low, high = arrays[f"{name}/range"]
        found: FloatArray = low + arrays[name].astype(np.float32) * np.float32((high - low) / 255)
        return found

    return ProbedEpoch(
        epoch=int(file.stem.removeprefix("epoch-")),
        probabilities=arrays["probabilities"],
        heat=values("heat"),
        maps={layer.name: values(f"maps/{layer.name}") for layer in layers},
        filters=values("filters"),
    )


def _as_bytes(values: FloatArray) -> tuple[ByteArray, Array]:
    """Values as steps 0..255 from their lowest (or 0) to their highest (or 0), and these two."""
    finite = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(finite.min())), max(0.0, float(finite.max()))
    share: Any = (finite - low) / (high - low) if high > low else finite * 0
    return np.round(255 * share).astype(np.uint8), np.array([low, high], np.float32)


def _name(epoch: int) -> str:
    return f"{FOLDER}/epoch-{epoch:05d}.safetensors"

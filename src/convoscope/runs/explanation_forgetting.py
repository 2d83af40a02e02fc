"""How the explanations of one image change as the network forgets, layer by layer: arrays saved
beside the scores of an explanation, as ``forgetting.npz``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from convoscope import disk
from convoscope.arrays import ByteArray, FloatArray
from convoscope.errors import RunError

FORGETTING: Final = "forgetting.npz"
LONGEST: Final = 112
"""What is kept is at most so many pixels long, that a folder stays small."""

_NAME, _PICTURE, _METHOD = "name", "picture", "method/"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forgetting:
    """The image ``name``, its ``picture`` (h, w, C) uint8, and by method its explanations (G + 1,
    h, w), one value per pixel: as the network is, then with the weights of one more group of layers
    at random, from the output down.
    """

    name: str
    picture: ByteArray
    methods: Mapping[str, FloatArray]


def forgetting(
    name: str, picture: ByteArray, methods: Sequence[str], values: FloatArray
) -> Forgetting:
    """From a picture (H, W, C) and values (G + 1, M, H, W) of M methods: both made small, by whole
    numbers, each new value the mean of those it stands for.
    """
    height, width = picture.shape[:2]
    times = -(-max(height, width) // LONGEST)
    small = _smaller(picture.transpose(2, 0, 1).astype(np.float32), times)
    pixels: ByteArray = np.round(small).astype(np.uint8).transpose(1, 2, 0)
    return Forgetting(
        name=name,
        picture=pixels,
        methods={method: _smaller(values[:, m], times) for m, method in enumerate(methods)},
    )


def write_forgetting(folder: Path, found: Forgetting) -> None:
    """Write ``forgetting.npz`` into an explanation's folder.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    arrays = {f"{_METHOD}{name}": values for name, values in found.methods.items()}

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            named = {_NAME: np.array(found.name), _PICTURE: found.picture}
            np.savez_compressed(stream, allow_pickle=False, **named, **arrays)

    disk.write(folder / FORGETTING, fill)


def read_forgetting(folder: Path) -> Forgetting | None:
    """What :func:`write_forgetting` wrote, ``None`` where nothing was.

    Raises:
        RunError: if the file is not whole.
    """
    file = folder / FORGETTING
    if not file.is_file():
        return None
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            kept = dict(arrays)
        names = [name for name in kept if name.startswith(_METHOD)]
        return Forgetting(
            name=str(kept[_NAME]),
            picture=kept[_PICTURE],
            methods={name.removeprefix(_METHOD): kept[name] for name in names},
        )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"{file}: must hold explanations of one image, reading it gave {reason}: delete it, or "
            "explain again with --score"
        ) from error


def _smaller(values: FloatArray, times: int) -> FloatArray:
    """Values (..., H, W) in blocks of ``times`` x ``times``, each its mean; the last ones may be
    smaller.
    """
    if times == 1:
        return np.asarray(values, dtype=np.float32)
    rows, columns = (np.arange(0, size, times) for size in values.shape[-2:])
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=-2), columns, axis=-1)
    counts = np.outer(
        *(
            np.minimum(times, n - starts)
            for n, starts in zip(values.shape[-2:], (rows, columns), strict=True)
        )
    )
    means: FloatArray = (sums / counts).astype(np.float32)
    return means

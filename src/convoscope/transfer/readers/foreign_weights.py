"""What a weight file of somebody else's holds, as one value, and what is asked of any such file.

Arrays keep the names and the layouts that they have in the file: Keras' (k, k, C, F) kernels stay
so. Which of our parameters each one is, :mod:`convoscope.transfer.foreign` says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from convoscope.arrays import Array, FloatArray
from convoscope.errors import WeightsError

Format: TypeAlias = Literal["tensorflow.js", "keras", "torch", "safetensors", "npz"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForeignWeights:
    """The arrays of a weight file, float32, in the file's order, names and layouts.

    ``steps`` has, for each array that was stored in whole numbers, the distance of neighbouring
    values: what was rounded lies within half of it. ``metadata`` is what the file says of itself.
    """

    path: Path
    format: Format
    arrays: Mapping[str, FloatArray]
    steps: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


def as_float32(array: Array) -> FloatArray:
    """The same values as float32; what is float32 already is not copied."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
        return np.asarray(array, dtype=np.float32)


def is_number(array: Array) -> bool:
    """Whether an array holds weights: floats of any width, and not counters or words."""
    return array.dtype.kind == "f"


def check_finite(arrays: Mapping[str, FloatArray]) -> None:
    """Nothing, if there are arrays and every value of them is a finite number.

    Raises:
        WeightsError: if there are none, or one holds NaN or infinity.
    """
    if not arrays:
        raise WeightsError(
            "a weight file must hold arrays of floating-point numbers, found none: "
            "choose another file"
        )
    for name, array in arrays.items():
        # Two passes without a scratch array: NaN and infinity come through min and max.
        if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
            count = int(array.size - np.isfinite(array).sum())
            raise WeightsError(
                f"{name!r}: weights must be finite numbers, found NaN or infinity in {count} of "
                f"{array.size} values: the training that made the file broke down, or the file is "
                "damaged; choose another one"
            )


def byte_count(shape: Sequence[int], itemsize: int) -> int:
    """The bytes of an array of ``shape``, in whole numbers that do not overflow."""
    return math.prod(shape) * itemsize


def file_size(path: Path) -> int:
    """The bytes of a file."""
    return path.stat().st_size

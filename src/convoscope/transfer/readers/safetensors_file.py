"""Files of the safetensors format: a JSON header of bounded size, then the numbers.

Source: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from convoscope.arrays import FloatArray
from convoscope.errors import WeightsError
from convoscope.transfer.readers.foreign_weights import ForeignWeights, as_float32

_LONGEST_HEADER = 100_000_000  # the format's own limit
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins so has a safetensors header: its length, then JSON."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def read_safetensors(path: Path) -> ForeignWeights:
    """The floating-point arrays of the file; bfloat16 is widened, whole numbers are left out.

    Raises:
        WeightsError: if the header and the file do not agree.
    """
    try:
        entries = _deserialise(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise WeightsError(
            f"a safetensors file must be as long as its header says, reading it gave {error}: "
            "it was cut short or damaged; copy or download it again"
        ) from error
    arrays = {
        name: _values(entry["dtype"], bytes(entry["data"])).reshape(entry["shape"])
        for name, entry in entries
        if entry["dtype"] in (*_FLOATS, "BF16")
    }
    return ForeignWeights(path=path, format="safetensors", arrays=arrays)


def _deserialise(content: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The library's reader of bytes, which checks the header against them; it has no types."""
    read: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize
    return read(content)


def _values(dtype: str, content: bytes) -> FloatArray:
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
    return as_float32(np.frombuffer(content, _FLOATS[dtype]))

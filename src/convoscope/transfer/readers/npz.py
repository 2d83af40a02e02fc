"""NumPy's ``.npz`` archives of plain arrays: never unpickled, measured before they are unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from convoscope.arrays import FloatArray
from convoscope.engines.claims import check_claim
from convoscope.errors import WeightsError, placed
from convoscope.transfer.readers.foreign_weights import (
    ForeignWeights,
    as_float32,
    byte_count,
    file_size,
    is_number,
)

_HEADER = 128 * 1024  # more than any header of a plain array


def read_npz(path: Path) -> ForeignWeights:
    """The floating-point arrays of the archive, under their names without ``.npy``.

    Raises:
        WeightsError: if it is damaged, an array holds Python objects, or its header claims more
            than the archive holds.
    """
    arrays: dict[str, FloatArray] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        check_claim(sum(member.file_size for member in members), file_size(path))
        for member in members:
            name = member.filename.removesuffix(".npy")
            with placed(repr(name)):
                array = _array(archive, member)
            if array is not None:
                arrays[name] = array
    return ForeignWeights(path=path, format="npz", arrays=arrays)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> FloatArray | None:
    """One array, or ``None`` where its numbers are no weights."""
    try:
        with archive.open(member) as stream:
            shape, dtype = _header(stream)
        if dtype.hasobject:
            raise WeightsError(
                "an array of weights must be plain numbers, found Python objects, which only "
                "pickle can read and which could run any program: do not use this file"
            )
        claimed = byte_count(shape, dtype.itemsize)
        if claimed > member.file_size:
            raise WeightsError(
                f"an array must fit in its member of {member.file_size} bytes, its header claims "
                f"the shape {shape}, {claimed} bytes: the file is damaged or made to harm; do not "
                "use it"
            )
        with archive.open(member) as stream:
            array = npy.read_array(stream, allow_pickle=False)
    except WeightsError:
        raise
    except Exception as error:  # bytes that make no sense raise anything there
        raise WeightsError(
            f"an npz file must hold whole arrays, reading this one gave {str(error)[:120]!r}: "
            "it was cut short or damaged; copy or download it again"
        ) from error
    return as_float32(array) if is_number(array) else None


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and type as the header claims them, without reading the numbers."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(stream, max_header_size=_HEADER)
    return shape, dtype

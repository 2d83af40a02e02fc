"""Arrays on disk that are filled block by block, in any order, by processes that may be killed.

::

    maps.bin       N arrays of one shape, one after the other; a hole where nothing is written yet
    journal.bin    float32 per block: NaN until the block is whole on disk, then its rounding error
    seconds.bin    float32 per block: how long computing it took; NaN where that is not known

A block's values are on disk before the journal says so, and whoever fills a folder after another
writes the same bytes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array, FloatArray
from convoscope.disk import filling, storing

Kind: TypeAlias = Literal["float32", "float16"]

ROUNDING_AT_MOST = 2.0**-10
"""The relative rounding error (root mean square over a block) that float16 may make."""


class NotExactEnoughError(Exception):
    """A block whose values float16 cannot hold; the folder is marked, and is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMaps:
    """``images`` arrays of ``shape`` in ``folder``, in blocks of ``block`` images."""

    folder: Path
    images: int
    shape: Shape
    block: int
    kind: Kind

    def prepare(self) -> None:
        """Make the folder, unless it is there and whole.

        Raises:
            NotExactEnoughError: if it was found before that float16 does not do.
            StorageError: if the disk is full or not writable.
        """
        if (self.folder / "inexact").exists():
            raise NotExactEnoughError
        if self._is_whole(self.folder):
            return
        with filling(self.folder, is_whole=self._is_whole) as part:
            with (part / "maps.bin").open("wb") as stream:
                stream.truncate(self.images * self._image_bytes)
            for name in ("journal.bin", "seconds.bin"):
                np.full(self._blocks, np.nan, np.float32).tofile(part / name)

    def missing(self, blocks: Iterable[int]) -> list[int]:
        """Those of the blocks that are not done."""
        journal = self._journal()
        return [block for block in blocks if math.isnan(journal[block])]

    def write(self, block: int, values: FloatArray, seconds: float = math.nan) -> None:
        """Keep a block's values (n, ...), and then say that they are there, and how long computing
        them took.

        Raises:
            NotExactEnoughError: if float16 cannot hold them.
            StorageError: if the disk is full.
        """
        with np.errstate(over="ignore"):
            kept = np.ascontiguousarray(values, dtype=self.kind)
        error = rounding_error(values, kept)
        with storing(self.folder):
            if not error <= ROUNDING_AT_MOST:
                (self.folder / "inexact").touch()
                raise NotExactEnoughError
            _write_at(self.folder / "maps.bin", block * self.block * self._image_bytes, kept)
            if self._knows_seconds:
                _write_at(self.folder / "seconds.bin", block * 4, np.array([seconds], np.float32))
            _write_at(self.folder / "journal.bin", block * 4, np.array([error], np.float32))

    def rounding(self) -> float:
        """The largest relative rounding error of the blocks that are done."""
        journal = self._journal()
        return float(np.max(journal, where=~np.isnan(journal), initial=0.0))

    def seconds(self) -> float:
        """How long computing the blocks took, whoever did it; NaN if that is not known of one."""
        if not self._knows_seconds:
            return math.nan
        took = np.fromfile(self.folder / "seconds.bin", np.float32)
        return float(took[~np.isnan(self._journal())].sum(dtype=np.float64))

    def maps(self) -> FloatArray:
        """A read-only memory map (images, *shape); what is not done yet is 0."""
        shape = (self.images, *self.shape)
        return np.memmap(self.folder / "maps.bin", self.kind, mode="r", shape=shape)

    @property
    def _knows_seconds(self) -> bool:
        """Not of a folder from before they were written."""
        return (self.folder / "seconds.bin").is_file()

    @property
    def _image_bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.kind).itemsize

    @property
    def _blocks(self) -> int:
        return -(-self.images // self.block)

    def _journal(self) -> FloatArray:
        return np.fromfile(self.folder / "journal.bin", np.float32)

    def _is_whole(self, folder: Path) -> bool:
        """Whether both files are there with the sizes that they must have."""
        expected = {
            "maps.bin": self.images * self._image_bytes,
            "journal.bin": self._blocks * 4,
        }
        try:
            return all((folder / n).stat().st_size == size for n, size in expected.items())
        except OSError:
            return False


def rounding_error(values: FloatArray, kept: FloatArray) -> float:
    """The root mean square of the differences, relative to that of the values; infinite where a
    value does not fit.
    """
    if kept.dtype == values.dtype:
        return 0.0
    exact = np.linalg.norm(values.astype(np.float64).ravel())
    difference = np.linalg.norm(values.astype(np.float64).ravel() - kept.ravel())
    return float(difference / exact) if exact else 0.0


def _write_at(file: Path, offset: int, values: Array) -> None:
    """Write into the file and wait until it is on the disk."""
    with file.open("r+b") as stream:
        stream.seek(offset)
        stream.write(values.data)
        stream.flush()
        os.fsync(stream.fileno())

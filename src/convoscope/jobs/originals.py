"""Small pictures of a run's images: from the files themselves while they are what they were,
else from what the run has kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from convoscope.arrays import ByteArray
from convoscope.data.cache import sha256_of
from convoscope.data.dataset import Dataset
from convoscope.data.decoding import open_image
from convoscope.errors import ConvoscopeError, UnreadableImageError
from convoscope.jobs.settings import asked_request
from convoscope.jobs.source import asked_dataset
from convoscope.pictures.thumbnails import shrink
from convoscope.runs import Run
from convoscope.runs.splitting import hashes_of


def small_pictures(runs: Sequence[Run], ids: Iterable[str]) -> dict[str, ByteArray]:
    """A picture (H, W, C) uint8 by id, for those ids of which one can be had.

    An original is shown only while its bytes are those that ``split.csv`` names: a file that was
    changed since would be another picture.
    """
    wanted = list(dict.fromkeys(ids))
    found: dict[str, ByteArray] = {}
    for run in runs:
        missing = [name for name in wanted if name not in found]
        if missing:
            found |= _originals(run, missing)
    for run in runs:
        kept = run.samples()
        found = {name: kept[name] for name in wanted if name in kept} | found
    return found


def small_picture(file: Path) -> ByteArray | None:
    """A small picture (H, W, 3) uint8 of an image file, ``None`` where it cannot be read."""
    try:
        return _shrunk(open_image(file))
    except UnreadableImageError:
        return None


def _originals(run: Run, ids: Iterable[str]) -> dict[str, ByteArray]:
    try:
        dataset = asked_dataset(asked_request(run.path, run.record().settings))
    except ConvoscopeError:
        # The folder has gone; the run's own samples are what is left.
        return {}
    rows = {name: row for row, name in enumerate(dataset.ids)}
    hashes = hashes_of(run)
    found = {}
    for name in ids:
        if name in rows and name in hashes:
            picture = _original(dataset, rows[name], hashes)
            if picture is not None:
                found[name] = picture
    return found


def _original(dataset: Dataset, row: int, hashes: Mapping[str, str]) -> ByteArray | None:
    try:
        if sha256_of(dataset, row) != hashes[dataset.ids[row]]:
            return None
    except UnreadableImageError:
        return None
    if dataset.files is not None:
        return small_picture(dataset.files[row])
    assert dataset.pixels is not None, "a data set has files or pixels"
    return _shrunk(dataset.pixels[row])


def _shrunk(image: ByteArray) -> ByteArray:
    (small,) = shrink(image[None])
    return np.asarray(small, dtype=np.uint8)

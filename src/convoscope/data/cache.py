"""Decode once: every image decoded and resized into one memory map, found again by its content.

An entry of the cache is a folder named by the hash of all files' bytes, the preprocessing that
changes pixels, and the versions of what decodes. It is filled under a temporary name and renamed
when whole, so that a process killed halfway leaves nothing that looks finished, and two that fill
the same entry at once end with one of two equal ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL
import platformdirs
from PIL import Image

from convoscope.arrays import Array, ByteArray, IntArray
from convoscope.data.dataset import Dataset, take
from convoscope.data.decoding import (
    Picture,
    enough_for,
    network_input,
    picture_input,
    quiet,
    read_bytes,
    read_picture,
)
from convoscope.data.facts import ImageFacts, facts_of, pixel_hash, undecided
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.workers import ordered
from convoscope.disk import filling
from convoscope.errors import DataError, UnreadableImageError

DECODER = 1
"""To be raised with every change of what the decoder gives for the same bytes."""

Progress: TypeAlias = Callable[[int, int], None]

_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """N decoded images: ``images`` (N, H, W, C) uint8, RGB or luminance, a read-only memory map.

    ``dataset`` and ``facts`` have the same N rows; ``skipped`` are (id, reason) of images that
    could not be read and were left out. ``fingerprint`` stands for the ids, bytes and labels of
    the N images, in whatever order and size.
    """

    dataset: Dataset
    images: ByteArray
    facts: ImageFacts
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str


def cache_folder() -> Path:
    """``CONVOSCOPE_CACHE``, or else the system's place for caches of this program."""
    asked = os.environ.get("CONVOSCOPE_CACHE")
    return Path(asked) if asked else platformdirs.user_cache_path("convoscope")


def decode(
    dataset: Dataset,
    *,
    preprocessing: Preprocessing,
    cache_dir: Path | None = None,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Decoded:
    """Every image at the network's size, from the cache if it is there.

    ``progress(done, total)`` is called after each image. ``workers`` threads decode; their number
    changes nothing but the time.

    Raises:
        DataError: if there are no images, or none can be read.
        UnreadableImageError: if some cannot be read and ``skip_unreadable`` is not set; names the
            first few of all of them.
        StorageError: if the cache's disk is full or not writable.
    """
    if not len(dataset):
        raise DataError(f"{dataset.place}: a data set must hold images, it has none")
    with quiet():
        hashes = list(
            ordered(lambda row: _hash(dataset, row), range(len(dataset)), workers=workers)
        )
        entry = (cache_dir or cache_folder()) / "images" / _key(hashes, preprocessing)
        if not _is_whole(entry, preprocessing):
            _fill(entry, dataset, hashes, preprocessing, progress, workers)
    if progress:
        progress(len(dataset), len(dataset))
    return _open(entry, dataset, preprocessing, skip_unreadable)


def sha256_of(dataset: Dataset, row: int) -> str:
    """The SHA-256 of an image's file, or of its pixels where they came without a file.

    Raises:
        UnreadableImageError: if the file is not there or may not be read; says only that.
    """
    return hashlib.sha256(_content(dataset, row)).hexdigest()


def _content(dataset: Dataset, row: int) -> bytes:
    if dataset.files is not None:
        return read_bytes(dataset.files[row])
    assert dataset.pixels is not None, "a data set has files or pixels"
    pixels = dataset.pixels[row]
    return b"%s%s" % (repr(pixels.shape).encode(), pixels.tobytes())


def _hash(dataset: Dataset, row: int) -> str:
    """As :func:`sha256_of`; empty where there is nothing to read."""
    try:
        return sha256_of(dataset, row)
    except UnreadableImageError:
        return ""


def _key(hashes: Sequence[str], preprocessing: Preprocessing) -> str:
    how = [DECODER, PIL.__version__, preprocessing.size, preprocessing.resize]
    known = [field.name for field in fields(ImageFacts)]
    digest = hashlib.sha256(json.dumps([*how, preprocessing.channels, *known]).encode())
    for each in hashes:
        digest.update(each.encode() + b"\n")
    return digest.hexdigest()[:40]


# -- filling an entry -----------------------------------------------------------------------------


def _fill(
    entry: Path,
    dataset: Dataset,
    hashes: Sequence[str],
    preprocessing: Preprocessing,
    progress: Progress | None,
    workers: int | None,
) -> None:
    """Decode everything into the folder ``entry``."""
    with filling(entry, is_whole=lambda folder: _is_whole(folder, preprocessing)) as part:
        _write(part, dataset, hashes, preprocessing, progress, workers)


def _write(
    part: Path,
    dataset: Dataset,
    hashes: Sequence[str],
    preprocessing: Preprocessing,
    progress: Progress | None,
    workers: int | None,
) -> None:
    rows: list[dict[str, Any]] = []
    kept: list[int] = []
    reasons: list[str] = []

    def one(row: int) -> tuple[ByteArray, dict[str, Any]] | str:
        return _decode_row(dataset, row, hashes[row], preprocessing)

    # Written, not mapped: a full disk is then an error to catch and not a fatal signal.
    with (part / "images.bin").open("wb") as stream:
        for row, found in enumerate(ordered(one, range(len(dataset)), workers=workers)):
            if isinstance(found, str):
                reasons.append(found)
            else:
                stream.write(np.ascontiguousarray(found[0]).data)
                rows.append(found[1])
                kept.append(row)
            if progress:
                progress(row + 1, len(dataset))
        stream.flush()
        os.fsync(stream.fileno())
    _tell_apart(rows, kept, dataset, preprocessing, progress, workers)
    index: dict[str, Array] = {"kept": np.array(kept, np.int64), "reasons": np.array(reasons, str)}
    facts = ImageFacts.from_rows(rows).arrays() if rows else {}
    with (part / "facts.npz").open("wb") as stream:
        np.savez(stream, allow_pickle=False, **index, **facts)
        stream.flush()
        os.fsync(stream.fileno())


def _decode_row(
    dataset: Dataset, row: int, expected: str, preprocessing: Preprocessing
) -> tuple[ByteArray, dict[str, Any]] | str:
    """An image's pixels for the network and its facts; or why it cannot be read."""
    try:
        content = _unchanged(dataset, row, expected)
        picture = _picture(dataset, row, content, preprocessing)
    except UnreadableImageError as error:
        return str(error)
    facts = facts_of(picture, sha256=expected, file_size=len(content))
    if dataset.pixels is not None:
        return network_input(dataset.pixels[row], preprocessing), facts
    return picture_input(picture, preprocessing), facts


def _tell_apart(
    facts: Sequence[dict[str, Any]],
    kept: Sequence[int],
    dataset: Dataset,
    preprocessing: Preprocessing,
    progress: Progress | None,
    workers: int | None,
) -> None:
    """Decode again those of the ``kept`` images that a glance does not tell apart."""

    def whole(place: int) -> str:
        row = kept[place]
        try:
            content = _unchanged(dataset, row, facts[place]["sha256"])
            return pixel_hash(_picture(dataset, row, content, preprocessing).image)
        except UnreadableImageError as error:  # It could be read a moment ago.
            raise _changed(dataset, row) from error

    places = undecided(facts).tolist()
    for done, found in enumerate(ordered(whole, places, workers=workers)):
        facts[places[done]]["pixel_hash"] = found
        if progress:
            progress(len(dataset) - len(places) + done, len(dataset))  # the end is said once


def _unchanged(dataset: Dataset, row: int, sha256: str) -> bytes:
    content = _content(dataset, row)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _changed(dataset, row)
    return content


def _changed(dataset: Dataset, row: int) -> DataError:
    return DataError(
        f"{dataset.ids[row]}: images must stay as they are while they are read, this one "
        "was written in the meantime: wait until the copying is done and start again"
    )


def _picture(dataset: Dataset, row: int, content: bytes, preprocessing: Preprocessing) -> Picture:
    if dataset.pixels is None:
        return read_picture(content, enough=enough_for(preprocessing))
    pixels = dataset.pixels[row]
    height, width, channels = pixels.shape
    flat = pixels[..., 0] if channels == 1 else pixels
    return Picture(
        image=Image.fromarray(flat).convert("RGB"),
        width=width,
        height=height,
        mode="L" if channels == 1 else "RGB",
    )


# -- opening an entry -----------------------------------------------------------------------------


def _is_whole(entry: Path, preprocessing: Preprocessing) -> bool:
    try:
        with (entry / "facts.npz").open("rb") as stream:
            images = len(np.load(stream, allow_pickle=False)["kept"])
        size = (entry / "images.bin").stat().st_size
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False
    height, width = preprocessing.size
    return bool(size == images * height * width * preprocessing.channels)


def _open(
    entry: Path, dataset: Dataset, preprocessing: Preprocessing, skip_unreadable: bool
) -> Decoded:
    with np.load(entry / "facts.npz", allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    kept: IntArray = found["kept"]
    lost = np.setdiff1d(np.arange(len(dataset)), kept).tolist()
    skipped = tuple(
        (dataset.ids[row], str(reason)) for row, reason in zip(lost, found["reasons"], strict=True)
    )
    if skipped and not (skip_unreadable and len(kept)):
        raise _unreadable(dataset, skipped, is_any_left=len(kept) > 0)
    readable = take(dataset, kept) if skipped else dataset
    facts = ImageFacts.from_arrays(found)
    shape = (len(kept), *preprocessing.size, preprocessing.channels)
    return Decoded(
        dataset=readable,
        images=np.memmap(entry / "images.bin", np.uint8, mode="r", shape=shape),
        facts=facts,
        skipped=skipped,
        fingerprint=_fingerprint(readable, facts),
    )


def _unreadable(
    dataset: Dataset, skipped: Sequence[tuple[str, str]], *, is_any_left: bool
) -> UnreadableImageError:
    named = [f"{name}, where {reason}" for name, reason in skipped[:_NAMED_AT_MOST]]
    if len(skipped) > _NAMED_AT_MOST:
        named.append(f"and {len(skipped) - _NAMED_AT_MOST} more")
    advice = ", or go on without them with --skip-unreadable" if is_any_left else ""
    return UnreadableImageError(
        f"{dataset.place}: every image must be readable, {len(skipped)} of {len(dataset)} are "
        f"not: {'; '.join(named)}: mend or remove them{advice}"
    )


def _fingerprint(dataset: Dataset, facts: ImageFacts) -> str:
    names = dataset.class_names
    lines = sorted(
        json.dumps(
            [name, sha256]
            + [
                [head, names[head][label] if label >= 0 else None]
                for head, label in (
                    (head, int(dataset.labels[head][row])) for head in sorted(names)
                )
            ]
        )
        for row, (name, sha256) in enumerate(zip(dataset.ids, facts.sha256.tolist(), strict=True))
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]

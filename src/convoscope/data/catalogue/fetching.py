"""How a named set comes into the cache: over the network, or from a copy that somebody has.

What is downloaded waits in ``datasets/downloads/<name>/`` until the set is whole, and is gone on
with after a failure. A copy is read where it lies before anything is copied, and compared with the
published checksums as far as there are any.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from convoscope import download
from convoscope.data.archive_members import is_archive
from convoscope.data.archives import extract
from convoscope.data.catalogue.named import NamedSet, RemoteFile
from convoscope.data.catalogue.store import Origin, Stored, find, install, set_folder
from convoscope.data.catalogue.table import NAMED
from convoscope.data.dataset import Dataset
from convoscope.errors import DataError, SettingsError, placed

MIRROR = "CONVOSCOPE_MIRROR"
"""The environment's word for an address that is tried first: ``<address>/<set>/<file>``."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told the name of a stage, how much is done, and how much there is."""


def fetch(named: NamedSet, progress: Progress, *, anew: bool = False) -> Stored:
    """The set from the network, resumed where an earlier try stopped; nothing if it is here.

    Raises:
        SettingsError: if the set comes with the program.
        DownloadError: if it cannot be fetched, or is not what was published.
        DataError: if what is offered is no longer that set.
        StorageError: if the disk is full or not writable.
    """
    _check_is_fetched(named)
    waiting = set_folder(named).parent / "downloads" / named.name

    def fill(part: Path) -> Origin:
        digests = {file.name: _download(named, file, waiting, progress) for file in named.files}
        for file in named.files:
            _unpack_or_copy(waiting / file.name, part, named, progress)
        return Origin(
            place=_urls(named, named.files[0])[0].rpartition("/")[0],
            is_verified=all(file.is_pinned for file in named.files),
            files=digests,
        )

    stored = install(named, fill, anew=anew)
    shutil.rmtree(waiting, ignore_errors=True)
    with suppress(OSError):  # another set is on its way
        waiting.parent.rmdir()
    return stored


def copy(named: NamedSet, source: Path, progress: Progress, *, anew: bool = False) -> Stored:
    """The set from a folder, an archive or a file on this machine.

    Raises:
        SettingsError: if the set comes with the program, or is here already and ``anew`` not set.
        DataError: if there is nothing there, or it is not that set, or cut short.
        StorageError: if the disk is full or not writable.
    """
    _check_is_fetched(named)
    there = None if anew else find(named)
    if there is not None:
        raise SettingsError(
            f"{named.name}: a set is copied where none is yet, this one is here already, from "
            f"{there.record.origin.place}: use it as it is, or add --replace"
        )
    if not source.exists():
        raise DataError(
            f"{source}: there must be a copy of {named.name}, but there is nothing: check the path"
        )
    archives = _archives(named, source)
    if archives:
        with placed(str(source)):
            return install(
                named, lambda part: _from_archives(named, archives, part, progress), anew=anew
            )
    dataset = named.read(source)
    with placed(str(source)):
        _check_complete(named, dataset)
        files = list(_own_files(named, source, dataset))
        return install(
            named, lambda part: _from_files(named, source, files, part, progress), anew=anew
        )


def _check_is_fetched(named: NamedSet) -> None:
    if not named.is_fetched:
        raise SettingsError(
            f"{named.name}: only what is elsewhere is fetched, this set comes with the program: "
            f"use it by its name, as in  convoscope data info {named.name}"
        )


# -- from the network -----------------------------------------------------------------------------


def _download(named: NamedSet, file: RemoteFile, folder: Path, progress: Progress) -> str:
    def watch(done: int, total: int | None) -> None:
        progress(f"fetching {file.name} (MB)", _megabytes(done), _megabytes(total or 0))

    return download.fetch(
        _urls(named, file),
        folder / file.name,
        sha256=file.sha256,
        md5=file.md5,
        size=file.size,
        progress=watch,
    )


def _urls(named: NamedSet, file: RemoteFile) -> tuple[str, ...]:
    mirror = os.environ.get(MIRROR)
    own = (f"{mirror.rstrip('/')}/{named.name}/{file.name}",) if mirror else ()
    return (*own, *file.urls)


def _megabytes(count: int) -> int:
    return -(-count // 1_000_000)


# -- archives -------------------------------------------------------------------------------------


def _archives(named: NamedSet, source: Path) -> list[Path]:
    """The archives to unpack: the source itself, or those that a folder holds as downloaded."""
    if source.is_file():
        return [source] if is_archive(source) else []
    packed = [source / file.name for file in named.files if file.is_archive]
    return packed if packed and all(path.is_file() for path in packed) else []


def _from_archives(
    named: NamedSet, archives: Sequence[Path], part: Path, progress: Progress
) -> Origin:
    published = {file.sha256 or file.md5 for file in named.files}
    digests = {path.name: _digests(path) for path in archives}
    for path in archives:
        _unpack_or_copy(path, part, named, progress)
    return Origin(
        place=str(archives[0].resolve()),
        is_verified=all(not published.isdisjoint(found) for found in digests.values()),
        files={name: found[0] for name, found in digests.items()},
    )


def _unpack_or_copy(path: Path, part: Path, named: NamedSet, progress: Progress) -> None:
    """Put a file into the set's folder: what an archive holds, or the file itself."""
    if not is_archive(path):
        shutil.copyfile(path, part / path.name)
        return
    stage = f"unpacking {path.name} (archive)"
    progress(stage, 0, 1)
    inner = part / ".unpacked"
    inner.mkdir()
    extract(path, inner)
    wanted = {file.inner_archive for file in named.files} - {None}
    within = [found for found in inner.rglob("*") if found.name in wanted]
    if within:
        extract(within[0], part)
    else:
        for found in inner.iterdir():
            found.rename(part / found.name)
    shutil.rmtree(inner)
    progress(stage, 1, 1)


# -- files ----------------------------------------------------------------------------------------


def _own_files(named: NamedSet, source: Path, dataset: Dataset) -> Iterator[tuple[Path, Path]]:
    """The files of a copy that belong to the set, and their paths in the set's folder."""
    if source.is_file():
        yield source, Path(source.name)
    elif dataset.files is not None:
        for file in dataset.files:
            yield file, file.relative_to(source)
    else:
        for file in sorted(source.rglob("*")):
            if file.is_file() and fnmatch.fnmatch(file.name, named.pattern):
                yield file, file.relative_to(source)


def _from_files(
    named: NamedSet,
    source: Path,
    files: Sequence[tuple[Path, Path]],
    part: Path,
    progress: Progress,
) -> Origin:
    is_verified = not any(file.is_archive for file in named.files) and _is_published(
        named, [file for file, _ in files]
    )
    for number, (file, place) in enumerate(files):
        progress("copying (files)", number, len(files))
        (part / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, part / place)
    progress("copying (files)", len(files), len(files))
    digests = {} if len(files) > 10 else {str(p): download.sha256_of(part / p) for _, p in files}
    return Origin(place=str(source.resolve()), is_verified=is_verified, files=digests)


def _check_complete(named: NamedSet, dataset: Dataset) -> None:
    """A set whose images lie in a few large files is there with all of them, or it is another."""
    if dataset.files is None and len(dataset) != named.images:
        raise DataError(
            f"a copy of {named.name} must hold {named.images:,} images, this one has "
            f"{len(dataset):,}: get a whole copy, or use this one by its path"
        )


def _is_published(named: NamedSet, files: Sequence[Path]) -> bool:
    """Whether all of the set's files are there as published, packed again or not.

    Raises:
        DataError: if they are known to be others.
    """
    found = {digest for file in files for digest in _digests(file)}
    for other in NAMED.values():
        if other.name != named.name and any(_is_among(file, found) for file in other.files):
            raise DataError(
                f"a copy of {named.name} must hold its files, these are those of {other.name}: "
                f"name the right folder, or use  convoscope data fetch {other.name}"
            )
    matched = [_is_among(file, found) for file in named.files]
    if all(file.content_md5 for file in named.files) and not all(matched):
        wrong = [
            file.name for file, is_there in zip(named.files, matched, strict=True) if not is_there
        ]
        raise DataError(
            f"a copy of {named.name} must hold its files as published, but "
            f"{', '.join(wrong)} differ{'s' if len(wrong) == 1 else ''} in its checksum: "
            "get a whole copy, or use this one by its path"
        )
    return all(matched)


def _is_among(file: RemoteFile, digests: set[str]) -> bool:
    return not digests.isdisjoint({file.sha256, file.md5, file.content_md5} - {None})


def _digests(path: Path) -> tuple[str, ...]:
    """The SHA-256 and MD5 of a file, and the MD5 of what is in it where it is gzipped."""
    with path.open("rb") as stream:
        md5 = hashlib.file_digest(stream, "md5").hexdigest()
    if path.suffix != ".gz" or is_archive(path):
        return download.sha256_of(path), md5
    with gzip.open(path) as stream:
        return download.sha256_of(path), md5, hashlib.file_digest(stream, "md5").hexdigest()

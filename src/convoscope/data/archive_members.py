"""The members of a zip or tar archive, each checked before anybody may write it.

Only folders and plain files below the archive's own top are let through. Absolute paths, ``..``,
links, devices, encrypted members and archives that unpack to far more than they are make an
error that names the member. What macOS and Windows leave beside the files is passed over.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from convoscope.errors import DataError

SUFFIXES = (
    ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip",
)  # fmt: skip

_LITTER = {".ds_store", "thumbs.db", "desktop.ini", "icon\r"}
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OPENERS: Mapping[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error,
    UnicodeError, OverflowError, NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may hold: members, bytes in all, and bytes per byte of the archive.

    The ratio counts from ``ratio_from`` bytes on. Photographs shrink by a few per cent, drawings
    and tables by ten or twenty times; a thousand times is what bombs do.
    """

    members: int = 5_000_000
    total_bytes: int = 1 << 40
    ratio: int = 200
    ratio_from: int = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A folder, or a file of ``size`` bytes, with the parts of its path below the top."""

    parts: tuple[str, ...]
    is_folder: bool
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file of that name should be an archive."""
    return path.name.lower().endswith(SUFFIXES)


def archive_name(path: Path) -> str:
    """The file's name without the archive's suffix: ``pets`` of ``pets.tar.gz``."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def read_members(path: Path, limits: Limits) -> Iterator[Member]:
    """Every member worth having, in the archive's order; each must be read before the next.

    Raises:
        DataError: if the file is no whole archive, or a member is none that may be unpacked.
    """
    size = path.stat().st_size
    count = total = 0
    with damage_told():
        for name, member in _zip(path) if path.suffix.lower() == ".zip" else _tar(path):
            count, total = count + 1, total + member.size
            if count > limits.members:
                raise _refused(name, f"at most {limits.members} members", "this is one more")
            if total > limits.total_bytes:
                raise _refused(name, f"at most {limits.total_bytes} bytes", f"these are {total}")
            if total > max(limits.ratio * size, limits.ratio_from):
                raise _refused(
                    name,
                    f"at most {limits.ratio} times as many bytes as it has",
                    f"up to this member there are {total // max(size, 1)} times as many",
                )
            if member.parts:
                yield member


@contextmanager
def damage_told() -> Iterator[None]:
    """Turn whatever the readers of archives raise into a :class:`DataError`."""
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault; the archive's is a number that leads nowhere
        raise DataError(
            "an archive must be whole and of the kind that its name says, but it cannot be read "
            f"({str(error) or type(error).__name__}): get the file again, or unpack it yourself"
        ) from error


def _refused(name: str, law: str, found: str) -> DataError:
    return DataError(
        f"member {name!r}: an archive may hold {law}, but {found}: unpack it yourself if you "
        "trust it, and name the folder"
    )


# -- zip ------------------------------------------------------------------------------------------


def _zip(path: Path) -> Iterator[tuple[str, Member]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = _zip_name(info)
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the system had no such thing
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(name, "folders and plain files only", f"this is {_kind(kind)}")
            if not name:
                raise _refused(name, "members with a name only", "this one has none")
            if info.flag_bits & 1:
                raise _refused(name, "readable members only", "this one is encrypted")
            yield (
                name,
                Member(
                    parts=_parts(name),
                    is_folder=name.endswith("/"),
                    size=info.file_size,
                    open=partial(archive.open, info),
                ),
            )


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The member's name; many programs write UTF-8 without saying so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _kind(mode: int) -> str:
    return "a link" if mode == stat.S_IFLNK else "a device or pipe"


# -- tar ------------------------------------------------------------------------------------------


class _SmallReads:
    """A stream that refuses huge reads: headers of a tar file are read at once, and can lie."""

    _MOST = 1 << 26

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        if size > self._MOST:
            raise tarfile.ReadError(f"a header claims to have {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


def _tar(path: Path) -> Iterator[tuple[str, Member]]:
    with path.open("rb") as plain:
        start = plain.read(6)
        plain.seek(0)
        opener = next((o for magic, o in _OPENERS.items() if start.startswith(magic)), None)
        stream = plain if opener is None else opener(plain)
        small = cast(IO[bytes], _SmallReads(stream))
        with stream, tarfile.open(fileobj=small, mode="r:") as archive:
            for info in archive:
                if info.issym() or info.islnk():
                    raise _refused(info.name, "folders and plain files only", "this is a link")
                if not (info.isfile() or info.isdir()):
                    raise _refused(
                        info.name, "folders and plain files only", "this is a device or pipe"
                    )
                yield info.name, _tar_member(archive, info)
            _check_end(small, archive.offset)


def _check_end(stream: IO[bytes], end: int) -> None:
    """A tar file ends in zeros; the reader stops as silently at its cut or at a damaged header."""
    stream.seek(end)
    block = stream.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or any(block):
        raise tarfile.ReadError(
            f"after {end} bytes there is no member and no proper end"
            if block
            else f"it breaks off after {end} bytes"
        )


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    def content() -> IO[bytes]:
        stream = archive.extractfile(info)
        assert stream is not None, "only files are opened"
        return stream

    size = 0 if info.isdir() else info.size
    return Member(parts=_parts(info.name), is_folder=info.isdir(), size=size, open=content)


# -- names ----------------------------------------------------------------------------------------


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a member's path; empty for what is passed over.

    Raises:
        DataError: if the path leads out of the archive, or no file can have it.
    """
    path = name.replace("\\", "/")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if path.startswith("/") or _DRIVE.match(path):
        raise _refused(name, "relative paths only", "this one is absolute")
    if ".." in parts:
        raise _refused(name, "paths below its own top only", "this one leads out by '..'")
    if any(_is_litter(part) for part in parts):
        return ()
    if _CONTROL.search(path):
        raise _refused(name, "names of printable signs only", "this one holds control signs")
    if any(len(part.encode(errors="surrogateescape")) > 255 for part in parts) or len(path) > 1024:
        raise _refused(name[:40] + "...", "names of usual length only", f"it has {len(name)} signs")
    return parts


def _is_litter(part: str) -> bool:
    return part == "__MACOSX" or part.startswith("._") or part.casefold() in _LITTER

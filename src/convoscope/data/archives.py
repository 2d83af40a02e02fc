"""Archives as data: unpacked once into the cache, safely, then read as what they hold.

The unpacked folder is named by the archive's SHA-256. It is filled under a temporary name and
renamed when whole, so that a process killed halfway leaves nothing that looks finished, and two
that unpack the same archive at once end with one of two equal folders.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from convoscope.data.archive_members import Limits, Member, damage_told, read_members
from convoscope.data.cache import cache_folder
from convoscope.data.idx import is_idx_images
from convoscope.data.split_words import split_named
from convoscope.data.table_files import TABLE_SUFFIXES
from convoscope.data.tables import names_images
from convoscope.disk import filling
from convoscope.errors import DataError, placed

_CHUNK = 1 << 20


def unpack(path: Path, *, cache_dir: Path | None = None, limits: Limits | None = None) -> Path:
    """The folder that holds what is in the archive ``path``; unpacked if it was not yet.

    Raises:
        DataError: if the file is no whole archive, holds nothing, or has a member that may not
            be unpacked; names it.
        StorageError: if the cache's disk is full or not writable.
    """
    with path.open("rb") as stream:
        key = hashlib.file_digest(stream, "sha256").hexdigest()[:40]
    folder = (cache_dir or cache_folder()) / "archives" / key
    if not folder.is_dir():
        with placed(str(path)), filling(folder) as part:
            extract(path, part, limits=limits)
    return folder


def extract(path: Path, folder: Path, *, limits: Limits | None = None) -> None:
    """Write what is in the archive ``path`` into ``folder``, which is there and empty.

    Raises:
        DataError: if the file is no whole archive, holds nothing, or has a member that may not
            be unpacked; names it.
    """
    written = [_write(folder, member) for member in read_members(path, limits or Limits())]
    if not any(written):
        raise DataError(
            "an archive must hold images, but there are no files in it: pack the folder again"
        )


def source_within(folder: Path) -> Path:
    """What to open in an unpacked folder: the folder with the data, or the one file that says it.

    A single folder is entered, unless it is a split's or holds images only. There, a table that
    names images, or stands beside no class folders, is the source; so is a lone ``.npz`` file.
    """
    while inner := _only_folder(folder):
        folder = inner
    folders, files = _shown(folder)
    if any(is_idx_images(file.name) for file in files):
        return folder
    tables = [file for file in files if file.suffix.lower() in TABLE_SUFFIXES]
    is_tree = len(folders) > 1 or any(_shown(inner)[0] for inner in folders)
    if len(tables) == 1 and (not is_tree or names_images(tables[0])):
        return tables[0]
    arrays = [file for file in files if file.suffix.lower() == ".npz"]
    return arrays[0] if len(arrays) == 1 and not folders else folder


def _write(top: Path, member: Member) -> bool:
    """Write one member below ``top``; whether it was a file.

    Raises:
        DataError: if another member has its name, or it holds another number of bytes than said.
    """
    target = top.joinpath(*member.parts)
    try:
        (target if member.is_folder else target.parent).mkdir(parents=True, exist_ok=True)
        if member.is_folder:
            return False
        with damage_told(), member.open() as source, target.open("xb") as stream:
            shutil.copyfileobj(source, stream, _CHUNK)
            written = stream.tell()
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(
            f"member {'/'.join(member.parts)!r}: every member must have a name of its own, but "
            "another one is there already: pack the folder again"
        ) from error
    if written != member.size:
        raise DataError(
            f"member {'/'.join(member.parts)!r}: there must be {member.size} bytes, got {written}: "
            "get the archive again"
        )
    return True


def _only_folder(folder: Path) -> Path | None:
    """The one folder in a folder, if the data must be inside it."""
    folders, files = _shown(folder)
    if len(folders) != 1 or files or split_named(folders[0].name):
        return None
    inner, inside = _shown(folders[0])
    return folders[0] if inner or any(map(_is_source, inside)) else None


def _is_source(file: Path) -> bool:
    suffixes = (*TABLE_SUFFIXES, ".npz")
    return file.suffix.lower() in suffixes or is_idx_images(file.name)


def _shown(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, without hidden ones."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in entries if path.is_dir()], [p for p in entries if not p.is_dir()]

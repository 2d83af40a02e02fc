"""Named sets in the cache: had once, then opened without a network.

A set lies in ``datasets/<name>/files`` of the cache, and ``dataset.json`` beside it says where it
came from and what the SHA-256 of its files was. The folder is filled under a temporary name, so
that it is whole or not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from convoscope.data.cache import cache_folder
from convoscope.data.catalogue.choice import Choice, choose
from convoscope.data.catalogue.named import NamedSet
from convoscope.data.dataset import Dataset
from convoscope.disk import alone, filling, storing
from convoscope.errors import DataError

RECORD_FILE = "dataset.json"
_FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a set's files come from, an address or the path of a copy; ``files`` are the SHA-256
    of what came. ``is_verified``: all of it is as published.
    """

    place: str
    is_verified: bool
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What ``dataset.json`` says."""

    schema_version: int = 1
    name: str
    images: int
    classes: int
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A set that is here."""

    folder: Path
    record: Record


def set_folder(named: NamedSet) -> Path:
    """Where the set lies, once it is here."""
    return cache_folder() / "datasets" / named.name


def find(named: NamedSet) -> Stored | None:
    """The set if it is in the cache.

    Raises:
        DataError: if its record is damaged; says how to mend that.
    """
    file = set_folder(named) / RECORD_FILE
    if not file.exists():
        return None
    try:
        record = TypeAdapter(Record).validate_json(file.read_bytes())
    except (ValidationError, OSError) as error:
        raise DataError(
            f"{file}: the record of a data set must be as it was written, but it cannot be read: "
            f"get the set again with  convoscope data fetch {named.name} --replace"
        ) from error
    return Stored(folder=file.parent, record=record)


def open_chosen(choice: Choice) -> Dataset:
    """The images that are asked for, from the cache where the set is not the program's own.

    Raises:
        DataError: if the set is not here, says how to get it; or a choice cannot be fulfilled.
        UnknownNameError: if there is no such class; names the nearest.
    """
    named = choice.named
    if not named.is_fetched:
        return choose(named.make(choice.words), choice)
    stored = find(named)
    if stored is None:
        raise DataError(
            f"{choice.words}: this data set must be fetched once, it is not on this machine yet: "
            f"download it with  convoscope data fetch {named.name}  or take it from a copy with  "
            f"convoscope data fetch {named.name} --from PATH"
        )
    dataset = named.read(stored.folder / _FILES)
    if dataset.files is None:
        dataset = replace(dataset, root=None)
    return choose(replace(dataset, notes=(*dataset.notes, *_doubts(stored.record))), choice)


def install(named: NamedSet, fill: Callable[[Path], Origin], *, anew: bool = False) -> Stored:
    """The set in the cache, filled unless it is there; ``anew``: in place of the one there.

    ``fill`` puts the set's files into the folder that it is given. They are read once before
    they count.

    Raises:
        DataError: if what was filled in is not the set.
        StorageError: if the disk is full or not writable.
    """
    folder = set_folder(named)
    with storing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        there = None if anew else find(named)
        if there is not None:
            return there
        with filling(folder, is_whole=lambda _: False) as part:
            files = part / _FILES
            files.mkdir()
            origin = fill(files)
            record = _record(named, named.read(files), origin)
            text = json.dumps(asdict(record), indent=1, ensure_ascii=False)
            (part / RECORD_FILE).write_text(text, encoding="utf-8")
    return Stored(folder=folder, record=record)


def _record(named: NamedSet, dataset: Dataset, origin: Origin) -> Record:
    classes = sum(len(names) for names in dataset.class_names.values())
    return Record(name=named.name, images=len(dataset), classes=classes, origin=origin)


def _doubts(record: Record) -> tuple[str, ...]:
    """A sentence where nobody could say that these are the published images."""
    if record.origin.is_verified:
        return ()
    return (
        f"{record.name} came from {record.origin.place}; no published checksum could be compared",
    )

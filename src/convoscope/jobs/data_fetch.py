"""The named data sets: which there are, which are here, and how one comes here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convoscope.data.catalogue import fetching
from convoscope.data.catalogue.choice import named_part, parse
from convoscope.data.catalogue.named import NamedSet
from convoscope.data.catalogue.store import Stored, find
from convoscope.data.catalogue.table import NAMED
from convoscope.errors import unknown_name
from convoscope.jobs.progress import Progress, unwatched


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A named set; ``stored`` says where it lies, if it was fetched."""

    named: NamedSet
    stored: Stored | None

    @property
    def is_here(self) -> bool:
        """Whether it can be used without a network."""
        return self.stored is not None or not self.named.is_fetched

    def to_json(self) -> dict[str, Any]:
        """A row of ``data list --json``."""
        named, stored = self.named, self.stored
        return {
            "name": named.name,
            "title": named.title,
            "images": named.images,
            "classes": named.classes,
            "pixels": named.pixels,
            "licence": named.licence,
            "citation": named.citation,
            "homepage": named.homepage,
            "numbers_count": None if named.has_own_words else named.counts,
            "download_bytes": named.download_bytes,
            "is_here": self.is_here,
            "stored": None
            if stored is None
            else {
                "folder": str(stored.folder),
                "images": stored.record.images,
                "classes": stored.record.classes,
                "origin": stored.record.origin.place,
                "is_verified": stored.record.origin.is_verified,
                "files": dict(stored.record.origin.files),
            },
        }


def listing() -> tuple[Known, ...]:
    """Every named set, in the catalogue's order.

    Raises:
        DataError: if the record of one is damaged.
    """
    return tuple(Known(named=named, stored=_stored(named)) for named in NAMED.values())


def about(words: str) -> Known | None:
    """The set that these words name, or a part of; ``None`` if they name a path.

    Raises:
        SettingsError: if they begin with a set's name and go on with what is not understood.
    """
    choice = parse(words)
    if choice is None:
        return None
    return Known(named=choice.named, stored=_stored(choice.named))


def fetch(
    name: str,
    *,
    source: str | Path | None = None,
    replace: bool = False,
    progress: Progress = unwatched,
) -> Known:
    """Get a whole set into the cache: from the network, or from the copy at ``source``.

    ``replace`` does so even if it is there, and keeps what is there until the new one is whole.

    Raises:
        UnknownNameError: if there is no such set; names the nearest.
        SettingsError: if it need not be fetched, or is here already and is to be copied again.
        DownloadError: if it cannot be fetched, or is not what was published.
        DataError: if a copy is not that set, or cut short.
        StorageError: if the disk is full or not writable.
    """
    named = NAMED.get(named_part(name))
    if named is None:
        raise unknown_name("data set", name, NAMED)
    if source is None:
        stored = fetching.fetch(named, progress, anew=replace)
    else:
        stored = fetching.copy(named, Path(source).expanduser(), progress, anew=replace)
    return Known(named=named, stored=stored)


def _stored(named: NamedSet) -> Stored | None:
    return find(named) if named.is_fetched else None

"""Weights of pretrained backbones: what there is, what is here, and how it gets here or goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convoscope import download
from convoscope.transfer import hub, store
from convoscope.transfer.catalogue import BACKBONES, Backbone, backbone
from convoscope.transfer.importing import importing
from convoscope.transfer.store import Stored

__all__ = ["Row", "check", "fetch", "listed", "remove", "take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A backbone, and its weights if they are here: ``stored`` is then not ``None``."""

    name: str
    source: str
    input_shape: tuple[int, ...]
    parameters: int
    classes: int
    licence: str
    origin: str
    stored: Stored | None

    def to_json(self) -> dict[str, Any]:
        """An object of ``weights list --json``."""
        return {
            "name": self.name,
            "source": self.source,
            "input_shape": list(self.input_shape),
            "parameters": self.parameters,
            "classes": self.classes,
            "licence": self.licence,
            "origin": self.origin,
            "weights": None if self.stored is None else stored_to_json(self.stored),
        }


def listed() -> list[Row]:
    """Every backbone of the table, then those of timm's whose weights are here.

    Raises:
        WeightsError: if the record of kept weights cannot be read.
    """
    here = {stored.name: stored for stored in store.installed()}
    rows = [_row(chosen, here.get(name)) for name, chosen in BACKBONES.items()]
    return rows + [_kept_row(stored) for name, stored in here.items() if name not in BACKBONES]


def fetch(name: str, *, progress: download.Progress = download.unwatched) -> Stored:
    """See to it that a backbone's weights are here; see :func:`convoscope.transfer.hub.fetch`."""
    return hub.fetch(name, progress=progress)


def take(path: str | Path, as_name: str) -> Stored:
    """Import a weight file; see :func:`convoscope.transfer.importing.importing`."""
    return importing(Path(path), as_name)


def remove(names: Iterable[str]) -> dict[str, int]:
    """Delete weights: per name the bytes that were freed, 0 where there were none.

    Raises:
        UnknownNameError: if a name is neither a backbone's nor that of weights that are here.
    """
    folders = {store.folder_name(stored.name) for stored in store.installed()}
    known = {name: _known(name, folders) for name in names}
    return {name: store.remove(found) for name, found in known.items()}


def check(names: Iterable[str] = ()) -> tuple[Stored, ...]:
    """Read every byte of the named weights, by default of all, and compare with their hashes.

    Raises:
        WeightsError: if some are not at hand, or not what they were; says how to get them.
    """
    here = {stored.name: stored for stored in store.installed()}
    chosen = [here.get(name) or store.needed(backbone(name).name) for name in names]
    found = tuple(chosen or here.values())
    for stored in found:
        store.verify(stored)
    return found


def stored_to_json(stored: Stored) -> dict[str, Any]:
    """The object that every ``weights`` command prints of weights that are here."""
    return {
        "name": stored.name,
        "folder": str(stored.folder),
        "bytes": stored.bytes,
        "sha256": stored.sha256,
        "parameters": stored.parameters,
        "classes": stored.classes,
        "input_shape": list(stored.input_shape),
        "licence": stored.licence,
        "origin": {
            "place": stored.origin.place,
            "format": stored.origin.format,
            "sha256": stored.origin.sha256,
            "commit": stored.origin.commit or None,
        },
    }


def _known(name: str, folders: set[str]) -> str:
    """The name under which weights are kept; timm is not asked about what is here."""
    return name if store.folder_name(name) in folders else backbone(name).name


def _row(chosen: Backbone, stored: Stored | None) -> Row:
    return Row(
        name=chosen.name,
        source=chosen.source,
        input_shape=chosen.input_shape,
        parameters=chosen.parameters,
        classes=chosen.classes,
        licence=chosen.licence,
        origin=(*chosen.origin.urls, f"{hub.HUB}/{chosen.origin.hub}")[0],
        stored=stored,
    )


def _kept_row(stored: Stored) -> Row:
    return Row(
        name=stored.name,
        source=stored.source,
        input_shape=stored.input_shape,
        parameters=stored.parameters,
        classes=stored.classes,
        licence=stored.licence,
        origin=stored.origin.place,
        stored=stored,
    )

"""What ``run.json`` says: settings asked, versions, data, status. Plain values, JSON in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

from convoscope.errors import RunError

SCHEMA_VERSION = 1
Status: TypeAlias = Literal["running", "finished", "interrupted", "diverged", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """``settings`` holds what was asked, complete enough to ask it again; ``command`` the words of
    the command line; ``data`` name, root, fingerprint, counts and ``notes``, sentences on it that
    the report must print (skipped files, allowed leaks); ``notes`` more of them, on how it went.
    ``warnings`` are those of the latter that say that learning went wrong.
    ``parts`` are the runs that this one is made of, as folders below it, see
    :mod:`convoscope.runs.parts`. ``features`` says, where a part of the network was frozen and
    computed once, of how many ``images``, in how many ``views``, and how many ``seconds`` that
    took, in whichever run it was done (``None`` where that is not known).
    """

    kind: str
    settings: Mapping[str, Any]
    command: tuple[str, ...]
    seed: int
    started: str
    schema_version: int = SCHEMA_VERSION
    status: Status = "running"
    data: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    epochs: int = 0
    best_epoch: int = 0
    stop_reason: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def every_note(self) -> tuple[str, ...]:
        """What the report must say of the data, then of how it went."""
        return (*map(str, self.data.get("notes", ())), *self.notes)

    def to_json(self) -> dict[str, Any]:
        """The object that ``run.json`` holds."""
        return asdict(self)


def record_from_json(content: object) -> RunRecord:
    """The record in a decoded ``run.json``.

    Raises:
        RunError: if it is no run record, or one of a newer version.
    """
    if not isinstance(content, dict) or "schema_version" not in content:
        raise RunError("run.json must hold an object with schema_version: this is no run folder")
    version = content["schema_version"]
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise RunError(
            f"run.json has schema_version {version!r}, this convoscope reads up to "
            f"{SCHEMA_VERSION}: update convoscope"
        )
    known = {f.name for f in fields(RunRecord)}
    values = {key: value for key, value in content.items() if key in known}
    for key in ("command", "notes", "warnings", "parts"):
        values[key] = tuple(values.get(key, ()))
    try:
        return RunRecord(**values)
    except TypeError as error:
        raise RunError(f"run.json lacks a key ({error}): the run was not written whole") from error

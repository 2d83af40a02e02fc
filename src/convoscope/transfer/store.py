"""Weights that are at hand: one folder per backbone in the cache, ready to be opened.

::

    weights/vgg19/
        architecture.yaml      the network that they belong to, as whoever trained it renders it
        weights.safetensors    parameters under our names
        weights.json           what they are, where they came from, the SHA-256 of the file beside

Values are kept as float32, even those that came as one byte each: a file is converted once and
then mapped into memory, so that opening it costs no arithmetic and no copy, and both engines read
the same bytes. A folder is filled under a temporary name and renamed when whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import save_file

from convoscope.architecture import files
from convoscope.architecture.graph import Architecture
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array
from convoscope.data.cache import cache_folder
from convoscope.data.preprocessing import Preprocessing
from convoscope.disk import filling, storing
from convoscope.download import sha256_of
from convoscope.errors import WeightsError

SCHEMA_VERSION: Final = 1

_ARRAYS = "weights.safetensors"
_ARCHITECTURE = "architecture.yaml"
_RECORD = "weights.json"
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where weights came from: an address or a file's name, its format and SHA-256, and, if it
    came from the Hugging Face hub, the commit.
    """

    place: str
    format: str
    sha256: str
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Weights of a backbone that are at hand.

    ``classes`` is 0 where the top is missing. ``sha256`` and ``bytes`` are of the file of arrays.
    """

    name: str
    source: str
    input_shape: Shape
    preprocessing: Preprocessing
    classes: int
    parameters: int
    licence: str
    origin: Provenance
    sha256: str = ""
    bytes: int = 0
    folder: Path = Path()

    def architecture(self) -> Architecture:
        """The network that the weights belong to.

        Raises:
            WeightsError: if its file is not whole; says how to get the weights again.
        """
        file = self.folder / _ARCHITECTURE
        with _whole(file, self.name):
            return files.read(file)

    def arrays(self) -> dict[str, Array]:
        """``{"layer.parameter": array}``, read-only, mapped from the file.

        Raises:
            WeightsError: if the file is not whole; says how to get it again.
        """
        file = self.folder / _ARRAYS
        with _whole(file, self.name):
            if file.stat().st_size != self.bytes:
                raise ValueError(f"{file.stat().st_size:,} bytes instead of {self.bytes:,}")
            return _mapped(file)


_STORED = TypeAdapter(Stored)


def weights_folder() -> Path:
    """Where weights are kept: ``weights`` in the cache."""
    return cache_folder() / "weights"


def find(name: str) -> Stored | None:
    """The weights of the backbone of that name, if they are at hand.

    Raises:
        WeightsError: if their record cannot be read, or was written by a newer version.
    """
    folder = weights_folder() / folder_name(name)
    return _read(folder, name) if (folder / _RECORD).is_file() else None


def needed(name: str) -> Stored:
    """The weights of the backbone of that name, which must be at hand.

    Raises:
        WeightsError: if they are not, or cannot be read; says how to get them.
    """
    stored = find(name)
    if stored is None:
        raise WeightsError(
            f"backbone {name!r}: its weights must be on this machine, they are not: "
            + how_to_get(name)
        )
    return stored


def installed() -> tuple[Stored, ...]:
    """All weights that are at hand, by name.

    Raises:
        WeightsError: if a record cannot be read.
    """
    records = sorted(weights_folder().glob(f"*/{_RECORD}"))
    whole = (record.parent for record in records if record.parent.suffix != ".part")
    return tuple(_read(folder, folder.name) for folder in whole)


def keep(stored: Stored, architecture: Architecture, arrays: Mapping[str, Array]) -> Stored:
    """Write weights into the store, in place of those that are there under that name.

    ``sha256``, ``bytes`` and ``folder`` are filled in.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    folder = weights_folder() / folder_name(stored.name)
    with filling(folder) as part:
        _save(part / _ARRAYS, arrays)
        (part / _ARCHITECTURE).write_text(files.to_yaml(architecture), encoding="utf-8")
        size = (part / _ARRAYS).stat().st_size
        whole = replace(stored, sha256=sha256_of(part / _ARRAYS), bytes=size, folder=folder)
        _write_record(part / _RECORD, whole)
        remove(stored.name)
    return whole


def remove(name: str) -> int:
    """Delete weights; the bytes that were freed, 0 if there were none."""
    folder = weights_folder() / folder_name(name)
    if not folder.is_dir():
        return 0
    with storing(folder):
        size = sum(file.stat().st_size for file in folder.iterdir())
        away = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.part")
        folder.rename(away)  # at once, so that nobody opens a folder that is half gone
        shutil.rmtree(away)
    return size


def verify(stored: Stored) -> None:
    """Nothing, if every byte is what it was when the weights were kept.

    Raises:
        WeightsError: if it is not; says how to get them again.
    """
    file = stored.folder / _ARRAYS
    with _whole(file, stored.name):
        found = sha256_of(file)
        if found != stored.sha256:
            raise ValueError(f"SHA-256 {found[:12]}... instead of {stored.sha256[:12]}...")


def folder_name(name: str) -> str:
    """A backbone's name as every file system takes it: ``timm:x`` is ``timm-x``."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def how_to_get(name: str) -> str:
    """The end of a sentence about weights that are not at hand."""
    return (
        f"run  convoscope weights fetch {name}  or, with a file of them,  convoscope weights "
        f"import FILE --as {name}"
    )


def _save(file: Path, arrays: Mapping[str, Array]) -> None:
    """Save as safetensors; its library reports a full disk as text, which becomes an OSError."""
    try:
        save_file({key: np.asarray(array, order="C") for key, array in arrays.items()}, file)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(file)) from error


def _mapped(file: Path) -> dict[str, Array]:
    """The arrays of a safetensors file as views of one read-only memory map.

    Source: the format, https://huggingface.co/docs/safetensors: eight bytes with the length of a
    JSON header, the header, and the values one after the other.
    """
    content = np.memmap(file, dtype=np.uint8, mode="r")
    length = int.from_bytes(content[:8].tobytes(), "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length].tobytes())
    values = content[8 + length :]
    return {
        name: values[slice(*entry["data_offsets"])]
        .view(_TYPES[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _write_record(file: Path, stored: Stored) -> None:
    content = {"schema_version": SCHEMA_VERSION} | asdict(stored)
    del content["folder"]
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(folder: Path, name: str) -> Stored:
    file = folder / _RECORD
    with _whole(file, name):
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
        version = content.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version {version!r} instead of {SCHEMA_VERSION}")
        return replace(_STORED.validate_python(content), folder=folder)


@contextmanager
def _whole(file: Path, name: str) -> Iterator[None]:
    """Refuse, in a sentence, a file that is cut short, changed or not ours."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise _not_whole(file, name, said) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _not_whole(file, name, error) from error


def _not_whole(file: Path, name: str, said: object) -> WeightsError:
    return WeightsError(
        f"{file}: kept weights must be as they were written, this has {said}: remove them with  "
        f"convoscope weights rm {name}  and get them again: {how_to_get(name)}"
    )

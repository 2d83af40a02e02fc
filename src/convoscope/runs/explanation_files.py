"""A folder of explanations: arrays as ``.npz``, pictures as PNG, a manifest that says what is what.

::

    manifest.json       schema_version, what was explained and how, and per image its facts and
                        files: the name and shape of each array, what each picture shows
    explain.html        the page, made from the rest
    filters.npz         the filters of the layers that were looked at, and filters-<layer>.png
    001-cat/            one folder per image: arrays.npz and its pictures

Images are added one by one, so that whoever stops halfway keeps what is done.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from pydantic import TypeAdapter, ValidationError

from convoscope import disk
from convoscope.arrays import Array, FloatArray
from convoscope.errors import RunError
from convoscope.runs.explanations import (
    About,
    ExplainedImage,
    ImageFacts,
    Status,
    View,
)

SCHEMA_VERSION = 1
MANIFEST, PAGE = "manifest.json", "explain.html"
_ARRAYS, _FILTERS = "arrays.npz", "filters.npz"
_SECONDS_BETWEEN_MANIFESTS = 2.0
_AXES = {
    "picture": "row, column, channel",
    "gradients": "neuron, channel, row, column",
    "map": "class, row, column",
    "gradient": "class, channel, row, column",
    "maps": "channel, row, column",
}
_FILTER_AXES = "filter, channel, row, column"

_ABOUT = TypeAdapter(About)
_FACTS = TypeAdapter(ImageFacts)
_FACT_NAMES = tuple(field.name for field in fields(ImageFacts))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A PNG file and what it shows, in a sentence with its scale."""

    name: str
    png: bytes
    what: str


class ExplanationWriter:
    """Writes a folder of explanations, image by image.

    The manifest is written when the writer is made, every few seconds, and by :meth:`end`. ``done``
    are a manifest's entries of images whose files are there already.
    """

    def __init__(
        self,
        folder: Path,
        about: About,
        filters: Mapping[str, FloatArray],
        pictures: Iterable[PictureFile] = (),
        done: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self._folder, self._about = folder, about
        self._filters = [_array_facts(name, array) for name, array in filters.items()]
        self._pictures = []
        for picture in pictures:
            disk.write_bytes(folder / picture.name, picture.png)
            self._pictures.append({"file": picture.name, "what": picture.what})
        self._images = list(done)
        self._problems: list[str] = []
        if filters:
            _write_arrays(folder / _FILTERS, filters)
        self._write("running")

    @property
    def count(self) -> int:
        """So many images are done."""
        return len(self._images)

    def add(self, image: ExplainedImage, pictures: Iterable[PictureFile]) -> None:
        """Write an image's arrays and pictures.

        Raises:
            StorageError: if the disk is full or not writable.
        """
        place = self._folder / image.facts.name
        try:
            self._images.append(asdict(image.facts) | _write_image(place, image, pictures))
        except BaseException:
            # A folder that the manifest does not name would be a riddle.
            shutil.rmtree(place, ignore_errors=True)
            raise
        if time.monotonic() - self._written > _SECONDS_BETWEEN_MANIFESTS:
            self._write("running")

    def problem(self, sentence: str) -> None:
        """Note an image that could not be read."""
        self._problems.append(sentence)

    def end(self, status: Status) -> None:
        """Write the manifest for the last time."""
        self._write(status)

    def _write(self, status: Status) -> None:
        content = {
            "schema_version": SCHEMA_VERSION,
            "kind": "explanations",
            "status": status,
            "about": asdict(self._about),
            "filters": self._filters,
            "pictures": self._pictures,
            "images": self._images,
            "problems": self._problems,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False)
        disk.write_text(self._folder / MANIFEST, text + "\n")
        self._written = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplanationFolder:
    """A folder of explanations, open for reading; arrays are read image by image."""

    path: Path
    about: About
    status: str
    problems: tuple[str, ...]
    entries: tuple[Mapping[str, Any], ...]
    manifest: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.entries)

    def to_json(self) -> dict[str, Any]:
        """What ``explain --json`` prints of it, besides where it is."""
        return {
            "status": self.status,
            "network": self.about.network,
            "source": self.about.source,
            "images": [dict(entry) for entry in self.entries],
            "problems": list(self.problems),
        }

    @property
    def page_file(self) -> Path:
        """``explain.html``."""
        return self.path / PAGE

    def images(self, most: int | None = None) -> Iterator[ExplainedImage]:
        """The images in order, at most the first ``most``, each with its arrays.

        Raises:
            RunError: if an image's arrays are missing or not whole.
        """
        for facts in itertools.islice(self.facts(), most):
            yield self._image(facts)

    def filters(self) -> dict[str, FloatArray]:
        """The filters (F, C, k, k) by layer; empty if none were kept.

        Raises:
            RunError: if the file is not whole.
        """
        file = self.path / _FILTERS
        return _read_arrays(file) if self.manifest["filters"] else {}

    def facts(self) -> Iterator[ImageFacts]:
        """What is known of each image besides its arrays.

        Raises:
            RunError: if the manifest is not whole.
        """
        for entry in self.entries:
            try:
                yield _FACTS.validate_python({key: entry[key] for key in _FACT_NAMES})
            except (KeyError, ValidationError) as error:
                raise _not_whole(self.path / MANIFEST, error) from error

    def _image(self, facts: ImageFacts) -> ExplainedImage:
        file = self.path / facts.name / _ARRAYS
        arrays = _read_arrays(file)
        maps = {name: array for name, array in arrays.items() if name.startswith("maps/")}
        try:
            return ExplainedImage(
                facts=facts,
                picture=arrays["picture"],
                views=tuple(
                    View(facts=view, values=arrays[f"views/{view.key}"]) for view in facts.views
                ),
                gradients=arrays["gradients"],
                maps={name.removeprefix("maps/"): array for name, array in maps.items()},
            )
        except KeyError as error:
            raise _not_whole(file, error) from error


def is_explanations(path: Path) -> bool:
    """Whether the folder holds explanations."""
    return (path / MANIFEST).is_file()


def open_explanations(path: Path) -> ExplanationFolder:
    """The folder of explanations at ``path``.

    Raises:
        RunError: if there is none, or it is not whole, or was written by a newer version.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise RunError(
            f"{path}: a folder of explanations must hold {MANIFEST}, this one does not: make one "
            "with  convoscope explain"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        _check_version(file, content["schema_version"])
        return ExplanationFolder(
            path=path,
            about=_ABOUT.validate_python(content["about"]),
            status=content["status"],
            problems=tuple(content["problems"]),
            entries=tuple(content["images"]),
            manifest=content,
        )
    except RunError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise _not_whole(file, error) from error


def explanations_of(run: Path) -> list[ExplanationFolder]:
    """The explanations that were written into a run's folder, oldest first.

    Raises:
        RunError: if one of them is not whole.
    """
    below = (run / "explanations").glob(f"*/{MANIFEST}")
    return [open_explanations(file.parent) for file in sorted(below, key=_age)]


def _check_version(file: Path, version: object) -> None:
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise RunError(
            f"{file}: has schema_version {version!r}, this convoscope reads up to "
            f"{SCHEMA_VERSION}: update convoscope"
        )


def _age(manifest: Path) -> tuple[int, str]:
    number = manifest.parent.name
    return (int(number) if number.isdecimal() else 0, number)


def _write_image(
    place: Path, image: ExplainedImage, pictures: Iterable[PictureFile]
) -> dict[str, Any]:
    """Write an image's folder; gives what the manifest says of its files."""
    arrays = _arrays(image)
    _write_arrays(place / _ARRAYS, arrays)
    shown = []
    for picture in pictures:
        disk.write_bytes(place / picture.name, picture.png)
        shown.append({"file": f"{place.name}/{picture.name}", "what": picture.what})
    facts = [_array_facts(name, array) for name, array in arrays.items()]
    return {"arrays": facts, "pictures": shown}


def _arrays(image: ExplainedImage) -> dict[str, Array]:
    arrays: dict[str, Array] = {"picture": image.picture, "gradients": image.gradients}
    arrays |= {f"views/{view.facts.key}": view.values for view in image.views}
    return arrays | {f"maps/{name}": maps for name, maps in image.maps.items()}


def _array_facts(name: str, array: Array) -> dict[str, Any]:
    """An array's name, shape and what its axes are."""
    kind = name.partition("/")[0]
    if kind == "views":
        kind = "map" if array.ndim == 3 else "gradient"
    axes = "unit" if kind == "maps" and array.ndim == 1 else _AXES.get(kind, _FILTER_AXES)
    return {"name": name, "shape": list(array.shape), "dtype": str(array.dtype), "axes": axes}


def _write_arrays(file: Path, arrays: Mapping[str, Array]) -> None:
    def fill(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    disk.write(file, fill)


def _read_arrays(file: Path) -> dict[str, Array]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise _not_whole(file, error) from error


def _not_whole(file: Path, error: Exception) -> RunError:
    reason = " ".join(str(error).split())
    return RunError(
        f"{file}: must hold what an explanation found, reading it gave {reason}: delete the folder "
        "and make it again with  convoscope explain"
    )

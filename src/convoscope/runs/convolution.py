"""What sliding filters over pictures gave: filters, maps and sizes, in one file of a run.

``convolution.npz`` holds them; ``pictures/`` beside it shows them as PNG files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from convoscope import disk
from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.errors import RunError
from convoscope.runs.store import Run

CONVOLVE = "convolve"
_FILE = "convolution.npz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterLayer:
    """A layer of filters (F, C, k, k) and what it made of maps ``input_size`` pixels wide and high.

    ``expected`` is the width and height by the formula, ``obtained`` (F, h, w) what came out,
    ``published`` the same setting's size elsewhere, if it is known. ``shown`` are the filters whose
    maps are kept.
    """

    name: str
    filters: FloatArray
    activation: str | None
    input_size: int
    stride: int
    padding: int
    expected: int
    obtained: tuple[int, int, int]
    published: str | None
    shown: tuple[int, ...]

    @property
    def kernel_size(self) -> int:
        """F of the formula."""
        return int(self.filters.shape[-1])

    @property
    def formula(self) -> str:
        """``(224 - 3 + 2 x 0) / 1 + 1 = 222``, rounded down where it does not come out even."""
        room = self.input_size - self.kernel_size + 2 * self.padding
        division = f"({self.input_size} - {self.kernel_size} + 2 × {self.padding}) / {self.stride}"
        if room % self.stride:
            division = f"floor({division})"
        return f"{division} + 1 = {self.expected}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvolvedImage:
    """A picture, small (h, w, 3) uint8, as the filters saw it (H, W) uint8, and per layer the maps
    (M, h', w') of the filters that are shown.
    """

    file: str
    picture: ByteArray
    gray: ByteArray
    maps: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution:
    """Filters slid over pictures; ``filter`` is the name of the one, or of how all were drawn."""

    filter: str
    layers: tuple[FilterLayer, ...]
    images: tuple[ConvolvedImage, ...]


def write_convolution(run: Run, found: Convolution) -> None:
    """Write ``convolution.npz``."""
    arrays: dict[str, Array] = {"facts": np.array(json.dumps(_facts(found)))}
    for layer in found.layers:
        arrays[f"filters/{layer.name}"] = layer.filters
    for number, image in enumerate(found.images):
        arrays[f"picture/{number}"] = image.picture
        arrays[f"gray/{number}"] = image.gray
        for name, maps in image.maps.items():
            arrays[f"maps/{number}/{name}"] = maps
    disk.write(run.path / _FILE, lambda temporary: _save(temporary, arrays))


def write_picture(run: Run, name: str, png: bytes) -> None:
    """Write ``pictures/<name>.png``."""
    disk.write_bytes(run.path / "pictures" / f"{name}.png", png)


def read_convolution(run: Run) -> Convolution:
    """What :func:`write_convolution` wrote.

    Raises:
        RunError: if the file is missing or not whole.
    """
    file = run.path / _FILE
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            layers = tuple(_layer(layer, arrays) for layer in facts["layers"])
            images = tuple(
                _image(number, name, layers, arrays) for number, name in enumerate(facts["images"])
            )
            return Convolution(filter=facts["filter"], layers=layers, images=images)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise RunError(
            f"{file}: must hold filters and maps, reading it gave {error}: delete the folder and "
            "make it again with  convoscope convolve"
        ) from error


def _facts(found: Convolution) -> dict[str, object]:
    names = ("name", "activation", "input_size", "stride", "padding", "expected", "obtained")
    return {
        "filter": found.filter,
        "images": [image.file for image in found.images],
        "layers": [
            {name: getattr(layer, name) for name in (*names, "published", "shown")}
            for layer in found.layers
        ],
    }


def _layer(facts: dict[str, object], arrays: Mapping[str, Array]) -> FilterLayer:
    facts = facts | {name: tuple(facts[name]) for name in ("obtained", "shown")}  # type: ignore[arg-type]
    return FilterLayer(filters=arrays[f"filters/{facts['name']}"], **facts)  # type: ignore[arg-type]


def _image(
    number: int, file: str, layers: tuple[FilterLayer, ...], arrays: Mapping[str, Array]
) -> ConvolvedImage:
    return ConvolvedImage(
        file=file,
        picture=arrays[f"picture/{number}"],
        gray=arrays[f"gray/{number}"],
        maps={layer.name: arrays[f"maps/{number}/{layer.name}"] for layer in layers},
    )


def _save(file: Path, arrays: Mapping[str, Array]) -> None:
    with file.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)

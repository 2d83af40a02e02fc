"""A network looked into as one self-contained page: what every layer makes of some images, what
every filter looks for, and where in the images the answers come from.

Made from a folder of ``convoscope explain`` and from those of ``convoscope maximise``.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from convoscope import disk
from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.pictures.favourites import favourite_tile, sheet_name, short_name
from convoscope.pictures.maps import exact_uri
from convoscope.pictures.mosaics import (
    Scale,
    abreast,
    bright_scale,
    close_mosaic,
    mosaic,
    scale_of,
)
from convoscope.pictures.thumbnails import data_uri
from convoscope.report import wording
from convoscope.report.inside_shown import environment, sees, short
from convoscope.report.looking import (
    Legend,
    Shown,
    ShownImage,
    main_targets,
    shown_image,
)
from convoscope.report.looking_maps import strongest_channels, vector_shown
from convoscope.report.looking_style import legend_style
from convoscope.report.shell import fill
from convoscope.runs.explanation_files import ExplanationFolder
from convoscope.runs.explanations import About, ExplainedImage
from convoscope.runs.inside_files import InsideFolder

MOST_MAPS: Final = 128
"""So many maps of a layer stand on the page, the strongest; the folder holds all."""

MOST_UNITS: Final = 128
"""So many favourite inputs of a layer stand on the page, the first; the sheet holds all."""

_WIDE, _LARGEST, _SMALL = 1072, 8, 40
_TILE_SIDE, _NAMED_SIDE, _LETTER = 56, 84, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLayer:
    """What a layer makes of an image: all its maps, or the values of its units, in one picture."""

    layer: str
    words: str
    legend: Legend
    low: str
    high: str
    picture: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedInto:
    """An image, where its answers come from, and what each layer makes of it."""

    image: ShownImage
    layers: tuple[ShownLayer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSheet:
    """The favourite inputs of a layer, drawn in one way; ``file`` is the sheet that has all."""

    recipe: str
    words: str
    picture: Shown
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFavourites:
    """The favourite inputs of a layer, in each way that they were drawn."""

    title: str
    words: str
    sheets: tuple[ShownSheet, ...]


def write(
    page: Path,
    explained: ExplanationFolder,
    favourites: Sequence[InsideFolder],
    *,
    command: Sequence[str],
    layers: Collection[str] = (),
) -> Path:
    """Write the page, all of it or nothing, and return its path; the folders lie below its own.

    ``layers`` are those whose maps it shows, all unless any are named.

    Raises:
        RunError: if a folder is not whole.
        StorageError: if the disk is full or not writable.
    """
    disk.write_text(page, render(page, explained, favourites, command=command, layers=layers))
    return page


def render(
    page: Path,
    explained: ExplanationFolder,
    favourites: Sequence[InsideFolder],
    *,
    command: Sequence[str],
    layers: Collection[str] = (),
) -> str:
    """The page as text."""
    about = explained.about
    looked = tuple(_looked(image, about, layers) for image in explained.images())
    drawn = _favourites(page.parent, favourites)
    return fill(
        "inside.html",
        panels=max(1, len(looked)),
        styles=("looking.css", "explain.css", "inside.css"),
        run={"name": short(asdict(about))},
        about=about,
        title=_title(about, looked, favourites),
        images=looked,
        problems=explained.problems,
        favourites=drawn,
        folders=[folder.path.relative_to(page.parent).as_posix() for folder in favourites],
        explained=explained.path.relative_to(page.parent).as_posix(),
        recipes=[(folder.facts["recipe"], folder.facts["sentence"]) for folder in favourites],
        legends=legend_style(),
        command=shlex.join(command),
        settings=_settings(about),
        environment=environment(asdict(about)),
    )


def _title(about: About, looked: Sequence[LookedInto], favourites: Sequence[InsideFolder]) -> str:
    count = sum(len(group["pictures"]) for group in favourites[0].facts["groups"])
    return (
        f"{about.network}, looked into: {wording.counted(len(looked), 'picture')}, and what "
        f"{count:,} filters, units and classes look for."
    )


def _looked(image: ExplainedImage, about: About, layers: Collection[str]) -> LookedInto:
    return LookedInto(
        image=shown_image(image, about, targets=main_targets(image)),
        layers=tuple(
            _layer(name, maps) for name, maps in image.maps.items() if not layers or name in layers
        ),
    )


def _layer(name: str, maps: FloatArray) -> ShownLayer:
    scale = bright_scale(maps)
    if maps.ndim == 1:
        words = f"{wording.counted(len(maps), 'value')}, row by row"
        picture = vector_shown(maps, scale, name)
    else:
        words, picture = _maps(name, maps, scale)
    low, high = (wording.score(end) for end in (scale.low, scale.high))
    is_cut = scale != scale_of(maps)
    return ShownLayer(
        layer=name,
        words=words,
        legend="signed" if scale.is_signed else "glow",
        low=f"≤{low}" if is_cut and scale.is_signed else low,
        high=f"≥{high}" if is_cut else high,
        picture=picture,
    )


def _maps(name: str, maps: FloatArray, scale: Scale) -> tuple[str, Shown]:
    """All maps (C, h, w) in one picture; large ones smaller, of very many the strongest."""
    count, height, width = maps.shape
    chosen = strongest_channels(maps, MOST_MAPS)
    small = maps[chosen][:, :: -(-height // _SMALL), :: -(-width // _SMALL)]
    across = abreast(len(chosen), small.shape[2])
    words = f"{wording.counted(count, 'map')} of {height} × {width}"
    if len(chosen) < count:
        words += f", the {len(chosen)} with the highest values"
    words += f"; {across} in a row"
    if small.shape != maps[chosen].shape:
        words += ", some of their values left out"
    return words, _scaled(close_mosaic(small, scale, across=across), f"maps of {name}")


def _favourites(root: Path, favourites: Sequence[InsideFolder]) -> tuple[ShownFavourites, ...]:
    """Per layer of the first folder a sheet for each folder that has it."""
    arrays = [folder.arrays() for folder in favourites]
    found = []
    for group in favourites[0].facts["groups"]:
        sheets = (
            _sheet(root, folder, group["title"], held)
            for folder, held in zip(favourites, arrays, strict=True)
        )
        count, shown = len(group["pictures"]), min(MOST_UNITS, len(group["pictures"]))
        words = f"{count:,} of {group['of']:,}" if count < group["of"] else f"all {count:,}"
        words += f"; the first {shown} are here" if shown < count else ""
        drawn = tuple(sheet for sheet in sheets if sheet is not None)
        found.append(ShownFavourites(title=group["title"], words=words, sheets=drawn))
    return tuple(found)


def _sheet(
    root: Path, folder: InsideFolder, title: str, arrays: Mapping[str, Array]
) -> ShownSheet | None:
    """The favourite inputs of that title, ``None`` where the folder has none."""
    group = next((each for each in folder.facts["groups"] if each["title"] == title), None)
    if group is None:
        return None
    records, recipe = group["pictures"], folder.facts["recipe"]
    silent = sum(bool(each["is_silent"]) for each in records)
    words = f"{silent} are crossed out: no way was found to excite them." if silent > 1 else ""
    words = "1 is crossed out: no way was found to excite it." if silent == 1 else words
    names = [str(each["name"]) for each in records[:MOST_UNITS]]
    side = min(_NAMED_SIDE, max(_TILE_SIDE, _LETTER * max(map(len, names))))
    pictures = arrays[f"{title}/pictures"][:MOST_UNITS].transpose(0, 2, 3, 1)
    tiles = _tiles(pictures, records, side)
    drawn = mosaic(tiles, [short_name(name, tiles[0].shape[1]) for name in names], theme="light")
    return ShownSheet(
        recipe=recipe,
        words=words,
        picture=Shown(
            uri=data_uri(drawn),
            width=drawn.shape[1],
            height=drawn.shape[0],
            title=f"favourite inputs of {title}, {recipe}",
        ),
        file=(folder.path / sheet_name(title)).relative_to(root).as_posix(),
    )


def _tiles(pictures: ByteArray, records: Sequence[Mapping[str, Any]], side: int) -> list[ByteArray]:
    """Pictures (T, h, w, C), small ones as large as ``side`` in whole squares."""
    times = max(1, math.ceil(side / max(pictures.shape[1:3])))
    return [
        favourite_tile(np.asarray(picture), times=times, is_silent=bool(record["is_silent"]))
        for picture, record in zip(pictures, records, strict=False)
    ]


def _scaled(drawn: ByteArray, title: str) -> Shown:
    """A picture enlarged in whole squares to about the width of the page."""
    height, width = drawn.shape[:2]
    times = max(1, min(_LARGEST, _WIDE // width))
    return Shown(
        uri=exact_uri(drawn),
        width=width * times,
        height=height * times,
        title=title,
        is_exact=True,
    )


def _settings(about: About) -> list[tuple[str, str]]:
    return [
        ("network", about.network),
        ("from", about.source),
        ("sees", sees(asdict(about))),
        ("heat from", ", ".join(about.heat_layers)),
    ]

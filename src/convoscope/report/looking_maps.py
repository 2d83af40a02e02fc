"""The maps and filters of an explained network's layers, as pictures true to scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.pictures.maps import exact_uri, filter_tile, value_range
from convoscope.pictures.mosaics import (
    Scale,
    as_rows,
    colour_filter,
    map_colours,
    scale_of,
)
from convoscope.pictures.thumbnails import LONGEST, data_uri, shrink
from convoscope.report import wording
from convoscope.report.looking import Legend, Shown
from convoscope.runs.explanations import ExplainedImage

MOST_MAPS: Final = 64
"""So many maps, or filters, of a layer stand on a page; the files hold all."""

MOST_VALUES: Final = {"maps": 100_000, "filters": 40_000}
"""Of large maps, and of filters of many channels, fewer stand there: so many values in all."""

FEWEST: Final = 8
"""Yet so many, whatever their size."""

PAIRED: Final = 10
"""So many filters, the first ones, stand beside the maps they make."""

_MAP_SIDE, _FILTER_SIDE = 64, 64
_UNIT_SIDE, _VECTOR_WIDTH = 12, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A map and the filter that made it."""

    number: int
    map: Shown
    filter: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMaps:
    """A layer's maps of an image on one scale, ``pairs`` beside their filters."""

    layer: str
    title: str
    words: str
    legend: Legend
    low: str
    high: str
    maps: tuple[Shown, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFilters:
    """A layer's filters on one scale."""

    layer: str
    title: str
    words: str
    high: str
    is_colour: bool
    filters: tuple[Shown, ...]


def map_sections(
    image: ExplainedImage, filters: Mapping[str, FloatArray], *, most: int = MOST_MAPS
) -> tuple[ShownMaps, ...]:
    """The maps of every layer that was kept, in computing order, at most ``most`` of each."""
    return tuple(_maps(layer, maps, filters.get(layer), most) for layer, maps in image.maps.items())


def filter_sections(filters: Mapping[str, FloatArray]) -> tuple[ShownFilters, ...]:
    """The filters of every layer that has some, in computing order."""
    return tuple(_filters(layer, values) for layer, values in filters.items())


def strongest_channels(maps: FloatArray, most: int) -> list[int]:
    """The channels of maps (C, h, w) with the highest values, at most ``most``, in their order."""
    highest = np.abs(maps).max(axis=(1, 2))
    return sorted(int(k) for k in np.argsort(-highest, kind="stable")[:most])


def _vector(layer: str, values: FloatArray) -> ShownMaps:
    """The values (C,) of a layer's units as one picture."""
    scale = scale_of(values)
    return ShownMaps(
        layer=layer,
        title=f"{layer}: {wording.counted(len(values), 'value')}",
        words="Row by row, a square for each.",
        legend="signed" if scale.is_signed else "glow",
        low=wording.score(scale.low),
        high=wording.score(scale.high),
        maps=(vector_shown(values, scale, layer),),
        pairs=(),
    )


def vector_shown(values: FloatArray, scale: Scale, title: str) -> Shown:
    """The values (C,) of a layer's units, row by row, a square for each."""
    colours = map_colours(as_rows(values)[0], scale)
    height, width = colours.shape[:2]
    times = max(2, min(_UNIT_SIDE, _VECTOR_WIDTH // width))
    return Shown(
        uri=exact_uri(colours),
        width=width * times,
        height=height * times,
        title="",
        words=f"{title}: {_signed(value_range(values))}",
        is_exact=True,
    )


def _maps(layer: str, maps: FloatArray, filters: FloatArray | None, most: int) -> ShownMaps:
    if maps.ndim == 1:
        return _vector(layer, maps)
    scale = scale_of(maps)
    chosen = strongest_channels(maps, min(most, _how_many(maps, "maps")))
    count, height, width = maps.shape
    silent = int((np.abs(maps).max(axis=(1, 2)) == 0).sum())
    words = []
    if len(chosen) < count:
        words.append(f"The {len(chosen)} with the highest values of {wording.count(count)}.")
    if silent:
        some = "1 map is" if silent == 1 else f"{silent} of the {wording.count(count)} maps are"
        words.append(f"{some} 0 everywhere: this picture holds nothing that they look for.")
    return ShownMaps(
        layer=layer,
        title=f"{layer}: {wording.counted(count, 'map')} of {height} × {width}",
        words=" ".join(words),
        legend="signed" if scale.is_signed else "glow",
        low=wording.score(scale.low),
        high=wording.score(scale.high),
        maps=tuple(_map(maps[channel], channel, scale) for channel in chosen),
        pairs=() if filters is None else _pairs(maps, filters, scale),
    )


def _map(values: FloatArray, channel: int, scale: Scale) -> Shown:
    """A map, small ones with a square for each value, large ones made smaller for the page."""
    colours = map_colours(values, scale)
    height, width = values.shape
    is_large = max(height, width) > LONGEST
    if is_large:
        (colours,) = shrink(colours[None])
    times = max(1, round(_MAP_SIDE / max(height, width)))
    return Shown(
        uri=data_uri(colours) if max(height, width) > _MAP_SIDE else exact_uri(colours),
        width=colours.shape[1] * times,
        height=colours.shape[0] * times,
        title=str(channel),
        words=_signed(value_range(values)),
        is_exact=not is_large,
    )


def _pairs(maps: FloatArray, filters: FloatArray, scale: Scale) -> tuple[Pair, ...]:
    if len(filters) != len(maps):
        # A layer of several operations: no filter makes one of its maps alone.
        return ()
    limit = float(np.abs(filters).max())
    return tuple(
        Pair(
            number=number,
            map=_map(maps[number], number, scale),
            filter=_filter(filters[number], number, limit),
        )
        for number in range(min(PAIRED, _how_many(filters, "filters")))
    )


def _filters(layer: str, filters: FloatArray) -> ShownFilters:
    count, channels, height, width = filters.shape
    shown, limit = _how_many(filters, "filters"), float(np.abs(filters).max())
    is_colour = channels == 3
    inside = f" × {channels}" if channels > 1 else ""
    words = [f"The first {shown} of {wording.count(count)}."] if shown < count else []
    if is_colour:
        words.append("In the colours they look for; middle gray is 0.")
    elif channels > 1:
        words.append(
            f"Each as its {channels} input channels, channel 0 at the top left and row by row from "
            "there."
        )
    return ShownFilters(
        layer=layer,
        title=f"{layer}: {wording.counted(count, 'filter')} of {height} × {width}{inside}",
        words=" ".join(words),
        high=wording.score(limit),
        is_colour=is_colour,
        filters=tuple(_filter(filters[number], number, limit) for number in range(shown)),
    )


def _filter(values: FloatArray, number: int, limit: float) -> Shown:
    tile: ByteArray = (
        colour_filter(values, limit) if len(values) == 3 else filter_tile(values, limit)
    )
    times = max(1, round(_FILTER_SIDE / max(tile.shape[:2])))
    return Shown(
        uri=exact_uri(tile),
        width=tile.shape[1] * times,
        height=tile.shape[0] * times,
        title=str(number),
        words=_signed(value_range(values)),
        is_exact=True,
    )


def _how_many(values: FloatArray, what: str) -> int:
    """How many of the maps (C, h, w) or filters (F, C, k, k) stand on a page."""
    count = len(values)
    room = MOST_VALUES[what] // (values.size // count)
    return min(count, MOST_MAPS, max(FEWEST, room))


def _signed(words: str) -> str:
    return words.replace("-", "\N{MINUS SIGN}")

"""Filters slid over pictures, as one self-contained page: filters, maps, sizes."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.pictures import maps as pictures
from convoscope.pictures.thumbnails import data_uri
from convoscope.report import wording
from convoscope.report.shell import fill
from convoscope.runs.convolution import (
    ConvolvedImage,
    FilterLayer,
    read_convolution,
)
from convoscope.runs.record import RunRecord
from convoscope.runs.store import Run

# In CSS pixels: ten small filters, or five with many channels, stand in a row of the page.
_FILTER_SIDES = {1: 90, 2: 186}
_ICON_SIDE = 40
_NO_BREAK = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture of ``width`` x ``height`` CSS pixels with a title and its range of values."""

    uri: str
    width: int
    height: int
    title: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMap:
    """A map and, small, the filter that made it."""

    map: Shown
    filter: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """A layer's sizes, each as one reads it."""

    name: str
    given: str
    filters: str
    formula: str
    expected: str
    obtained: str
    published: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFilters:
    """A layer's shown filters, how many there are in all, and the spread they were drawn with.

    ``table`` are the values of a filter that is alone, row by row; ``limit`` is the end of the
    colour scale; ``spread`` compares the variance drawn with 2 / n, where it was drawn.
    """

    name: str
    count: int
    sort: str
    tiles: tuple[Shown, ...]
    table: tuple[tuple[str, ...], ...]
    limit: str
    spread: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMaps:
    """A layer's maps of one picture."""

    name: str
    title: str
    maps: tuple[ShownMap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePanel:
    """A picture, gray, and what every layer made of it."""

    name: str
    picture: Shown
    gray: Shown
    layers: tuple[LayerMaps, ...]


def convolve_page(run: Run) -> str:
    """The run's page as text.

    Raises:
        RunError: if the run's arrays are missing or not whole.
    """
    record, found = run.record(), read_convolution(run)
    return fill(
        "convolve.html",
        panels=len(found.images),
        styles=("convolve.css",),
        run=run,
        filter=found.filter,
        is_single=len(found.layers) == 1,
        sizes=[_sizes(layer) for layer in found.layers],
        filters=[_filters(layer, found.filter) for layer in found.layers],
        images=[_panel(image, found.layers) for image in found.images],
        command=shlex.join(record.command),
        settings=[(name, str(value)) for name, value in record.settings.items()],
        environment=_environment(record),
    )


def _sizes(layer: FilterLayer) -> SizeRow:
    count, height, width = layer.obtained
    depth = (count,) if count > 1 else ()
    filters, channels, k, _ = layer.filters.shape
    inside = (channels,) if channels > 1 else ()
    size = layer.input_size
    return SizeRow(
        name=layer.name,
        given=_together(wording.shape((size, size, *inside))),
        filters=f"{wording.count(filters)} of {wording.shape((k, k, *inside))}",
        formula=layer.formula,
        expected=wording.shape((layer.expected, layer.expected, *depth)),
        obtained=_together(wording.shape((height, width, *depth))),
        published=layer.published or wording.UNKNOWN,
    )


def _filters(layer: FilterLayer, name: str) -> LayerFilters:
    count, channels, k, _ = layer.filters.shape
    limit = float(np.abs(layer.filters).max())
    inside = f" × {channels}" if channels > 1 else ""
    side = _FILTER_SIDES[min(channels, 2)]
    return LayerFilters(
        name=layer.name,
        count=count,
        sort=f"{k} × {k}{inside}",
        tiles=tuple(_filter(layer, number, side) for number in layer.shown),
        table=_table(layer.filters[0, 0]) if count == 1 else (),
        limit=f"{limit:.3g}",
        spread=_spread(layer.filters) if name == "kaiming" else "",
    )


def _filter(layer: FilterLayer, number: int, side: int) -> Shown:
    """A filter about ``side`` CSS pixels wide, on the scale of all filters of its layer."""
    values = layer.filters[number]
    tile = pictures.filter_tile(values, float(np.abs(layer.filters).max()))
    times = max(1, round(side / tile.shape[1]))
    return Shown(
        uri=pictures.exact_uri(tile),
        width=tile.shape[1] * times,
        height=tile.shape[0] * times,
        title=f"filter {number}",
        words=_signed(pictures.value_range(values)),
    )


def _table(values: FloatArray) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_signed(f"{value:.4f}") for value in row) for row in values)


def _spread(filters: FloatArray) -> str:
    """The variance asked and drawn, in a sentence."""
    n = math.prod(filters.shape[1:])
    drawn = float((filters.astype(np.float64) ** 2).mean())
    return (
        f"Drawn from a normal distribution with mean 0 and variance 2 / n = 2 / {n} = {2 / n:.4g}; "
        f"the mean square of the {wording.counted(filters.size, 'value')} drawn is {drawn:.4g}."
    )


def _panel(image: ConvolvedImage, layers: tuple[FilterLayer, ...]) -> ImagePanel:
    height, width = image.gray.shape
    return ImagePanel(
        name=Path(image.file).stem,
        picture=_photograph(image.picture, height),
        gray=Shown(
            uri=pictures.exact_uri(image.gray[..., None]),
            width=width,
            height=height,
            title="gray",
            words=f"{width} × {height}, values in [0, 1]",
        ),
        layers=tuple(_maps(layer, image.maps[layer.name]) for layer in layers),
    )


def _photograph(picture: ByteArray, height: int) -> Shown:
    """The picture in its own aspect, as high as the gray one."""
    return Shown(
        uri=data_uri(picture),
        width=round(picture.shape[1] * height / picture.shape[0]),
        height=height,
        title="picture",
        words="in colour, in its own aspect",
    )


def _maps(layer: FilterLayer, maps: FloatArray) -> LayerMaps:
    after = ", after the ReLU" if layer.activation == "relu" else ""
    size = wording.shape(maps.shape[1:])
    return LayerMaps(
        name=layer.name,
        title=f"{layer.name}: {wording.counted(len(maps), 'map')} of {size}{after}",
        maps=tuple(
            ShownMap(map=_map(one, number), filter=_filter(layer, number, _ICON_SIDE))
            for number, one in zip(layer.shown, maps, strict=True)
        ),
    )


def _map(values: FloatArray, number: int) -> Shown:
    return Shown(
        uri=pictures.exact_uri(pictures.shaded(values)),
        width=values.shape[1],
        height=values.shape[0],
        title=f"map {number}",
        words=_signed(pictures.value_range(values)),
    )


def _environment(record: RunRecord) -> list[tuple[str, str]]:
    facts = {"started": record.started, "engine": "numpy"}
    facts["seconds"] = f"{record.seconds:.1f}"
    facts |= {name: version for name, version in record.versions.items() if name != "torch"}
    facts |= {name: str(record.machine[name]) for name in ("system", "processor", "cores")}
    return list(facts.items())


def _signed(words: str) -> str:
    return words.replace("-", _MINUS)


def _together(words: str) -> str:
    return words.replace(" ", _NO_BREAK)

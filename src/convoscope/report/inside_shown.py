"""What the pages of favourite inputs and of an atlas share: small pictures, and facts to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.pictures.maps import exact_uri
from convoscope.pictures.mosaics import filter_picture
from convoscope.pictures.thumbnails import data_uri, is_tiny, shrink
from convoscope.report.looking import Shown


def favourite_shown(picture: Array, title: str, *, side: int) -> Shown:
    """A favourite input (C, h, w) uint8, about ``side`` pixels wide; tiny ones in squares."""
    image: ByteArray = np.ascontiguousarray(picture.transpose(1, 2, 0))
    if is_tiny(image):
        uri, exact = data_uri(image), True
    else:
        (image,) = shrink(image[None], longest=2 * side)
        uri, exact = data_uri(image), False
    factor = side / max(image.shape[:2])
    return Shown(
        uri=uri,
        width=round(image.shape[1] * factor),
        height=round(image.shape[0] * factor),
        title=title,
        is_exact=exact,
    )


def filter_shown(values: FloatArray, limit: float, title: str, *, side: int) -> Shown:
    """A filter (C, k, k) of a first layer, in its colours or from blue over white to orange."""
    tile = filter_picture(values, limit)
    factor = side / max(tile.shape[:2])
    return Shown(
        uri=exact_uri(tile),
        width=round(tile.shape[1] * factor),
        height=round(tile.shape[0] * factor),
        title=title,
        is_exact=True,
    )


def short(facts: Mapping[str, Any]) -> str:
    """The name of the run, or of the network."""
    return Path(facts["source"]).name or str(facts["network"])


def environment(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where it was made: names and values."""
    machine = facts["machine"]
    values = {"started": facts["started"], "engine": facts["engine"], **facts["versions"]}
    values |= {name: str(machine.get(name, "")) for name in ("system", "processor", "cores")}
    return [(name, value) for name, value in values.items() if value]


def sees(facts: Mapping[str, Any]) -> str:
    """``224 × 224 pixels, 3 channels``."""
    channels, height, width = facts["input_shape"]
    return f"{height} × {width} pixels, {channels} channel{'s' if channels > 1 else ''}"

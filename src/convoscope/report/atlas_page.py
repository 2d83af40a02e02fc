"""A patch atlas as one self-contained page to browse, made from what ``convoscope atlas`` kept."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from convoscope import disk
from convoscope.arrays import Array
from convoscope.pictures.favourites import strip
from convoscope.pictures.thumbnails import data_uri
from convoscope.report import wording
from convoscope.report.inside_shown import (
    environment,
    favourite_shown,
    filter_shown,
    sees,
    short,
)
from convoscope.report.looking import Shown
from convoscope.report.shell import fill
from convoscope.runs.inside_files import InsideFolder

MOST_CHANNELS: Final = 512
MOST_PATCHES: Final = 5000
"""So many channels, and so many patches, stand on the page; the folder holds all."""

_CLASS_CHANNELS = 6
_SIDE = 56


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChannel:
    """A channel: its patches in one picture, its favourite input and its filter where known."""

    number: int
    patches: Shown | None
    labels: str
    favourite: Shown | None
    kernel: Shown | None
    class_name: str
    speaks: bool
    auc: str
    interval: str
    answered: str
    peak: str
    is_dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClass:
    """A class, how many channels speak for it, and the surest of them with their AUC."""

    name: str
    images: str
    count: int
    channels: tuple[tuple[int, str], ...]


def write(folder: InsideFolder, file: Path | None = None) -> Path:
    """Write ``atlas.html`` into the folder, all of it or nothing, and return its path.

    Raises:
        RunError: if the folder is not whole.
        StorageError: if the disk is full or not writable.
    """
    page = file or folder.page_file
    disk.write_text(page, render(folder))
    return page


def render(folder: InsideFolder) -> str:
    """The page as text."""
    facts, arrays = folder.facts, folder.arrays()
    room = max(1, min(MOST_CHANNELS, MOST_PATCHES // facts["patches"]))
    records = facts["channels"][:room]
    favourites = dict(zip(facts["favourites"], arrays.get("favourites", ()), strict=True))
    channels = [_shown(each, arrays, favourites, facts["images"]) for each in records]
    return fill(
        "atlas.html",
        styles=("looking.css", "inside.css"),
        run={"name": short(facts)},
        facts=facts,
        title=title(facts),
        statements=statements(facts),
        channels=channels,
        classes=classes(facts),
        left_out=len(facts["channels"]) - len(records),
        has_favourites=bool(favourites),
        has_filters="filters" in arrays,
        command=shlex.join(facts["command"]),
        settings=_settings(facts),
        environment=environment(facts),
    )


def title(facts: Mapping[str, Any]) -> str:
    """The page's first sentence."""
    count, what = facts["shape"][0], "channel" if len(facts["shape"]) == 3 else "unit"
    return (
        f"What the {wording.counted(count, what)} of {facts['layer']} look for in "
        f"{wording.counted(facts['images'], 'image')} of {facts['data']}."
    )


def statements(facts: Mapping[str, Any]) -> list[str]:
    """What the atlas says as a whole, a sentence each, with what the sentence is worth."""
    count, level = facts["shape"][0], f"{100 * facts['level']:g}"
    found = []
    if facts["comparisons"]:
        found.append(
            f"{facts['speaking']:,} of {wording.counted(count, 'channel')} speak for a class: they "
            "answer its images more strongly than others, more surely than chance would have it. "
            "Each has an interval of its AUC above 0.5, and all "
            f"{facts['comparisons']:,} intervals hold at once at {level} %; images count as "
            "independent."
        )
    else:
        found.append(
            "Which channels speak for which class cannot be said: that takes images of two "
            "labelled classes or more."
        )
    found.append(_dead_words(facts, level))
    return found


def classes(facts: Mapping[str, Any]) -> list[ShownClass]:
    """Every class with the channels that speak for it, the surest first; none without labels."""
    if not facts["comparisons"]:
        return []
    shown = []
    for name, images in zip(facts["class_names"], facts["class_images"], strict=True):
        own = [each for each in facts["channels"] if each["speaks"] and each["class"] == name]
        shown.append(
            ShownClass(
                name=name,
                images=wording.count(images),
                count=len(own),
                channels=tuple(
                    (each["channel"], _area(each["auc"])) for each in own[:_CLASS_CHANNELS]
                ),
            )
        )
    return shown


def _dead_words(facts: Mapping[str, Any], level: str) -> str:
    images = wording.counted(facts["images"], "image")
    dead: Sequence[int] = facts["dead"]
    if not dead:
        return f"No channel is dead: each answers at least one of {images}."
    named = ", ".join(map(str, dead[:12])) + (" and more" if len(dead) > 12 else "")
    some = "1 channel is" if len(dead) == 1 else f"{len(dead):,} channels are"
    most = wording.share(facts["dead_at_most"])
    return (
        f"{some} dead, never above 0 in {images}: {named}. With {level} % confidence such a "
        f"channel answers at most {most} of images of this kind."
    )


def _shown(
    record: Mapping[str, Any],
    arrays: Mapping[str, Array],
    favourites: Mapping[int, Array],
    images: int,
) -> ShownChannel:
    channel = int(record["channel"])
    favourite = favourites.get(channel)
    kernels = arrays.get("filters")
    limit = 0.0 if kernels is None else float(np.abs(kernels).max())
    return ShownChannel(
        number=channel,
        patches=_patches(arrays["patches"][channel], record),
        labels=" · ".join(_patch_words(each) for each in record["patches"]),
        favourite=None
        if favourite is None
        else favourite_shown(favourite, f"favourite input of channel {channel}", side=_SIDE),
        kernel=None
        if kernels is None
        else filter_shown(kernels[channel], limit, f"filter {channel}", side=_SIDE),
        class_name=record["class"] or "",
        speaks=record["speaks"],
        auc="" if record["auc"] is None else _area(record["auc"]),
        interval="" if record["low"] is None else f"{_area(record['low'])}–{_area(record['high'])}",
        answered=wording.share(record["answered"] / images if images else None),
        peak=wording.score(record["peak"]),
        is_dead=record["is_dead"],
    )


def _patches(patches: Array, record: Mapping[str, Any]) -> Shown | None:
    """The patches (k, s, s, 3) of a channel that are there, in one picture."""
    there = len(record["patches"])
    if not there:
        return None
    row = strip(list(patches[:there]), patches.shape[1])
    return Shown(
        uri=data_uri(row),
        width=row.shape[1] * _SIDE // row.shape[0],
        height=_SIDE,
        title=f"what excites channel {record['channel']} most",
    )


def _patch_words(patch: Mapping[str, Any]) -> str:
    label = f" ({patch['label']})" if patch["label"] else ""
    return f"{wording.score(patch['value'])} {patch['image']}{label}"


def _area(value: float) -> str:
    """Two decimals, or as many as it takes not to call an area 1 that is none."""
    return f"{value:.2f}" if not 0.995 <= value < 1 else f"{value:.4f}"


def _settings(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    window = facts["window"]
    return [
        ("network", facts["network"]),
        ("from", facts["source"]),
        ("sees", sees(facts)),
        ("layer", f"{facts['layer']}, {wording.shape(facts['shape'])}"),
        ("images", f"{facts['images']:,}"),
        ("patches", "all that reaches the cell" if window is None else f"{window} pixels a side"),
    ]

"""Favourite inputs as one self-contained page, made from a folder of ``convoscope maximise``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convoscope import disk
from convoscope.arrays import Array
from convoscope.report import wording
from convoscope.report.inside_shown import environment, favourite_shown, sees, short
from convoscope.report.looking import Shown
from convoscope.report.shell import fill
from convoscope.runs.inside_files import InsideFolder

MOST_PICTURES: Final = 512
"""So many pictures stand on the page; the folder holds all."""

_SIDE, _LARGE_SIDE, _FEW = 112, 176, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFavourite:
    """A favourite input with its name, the value it reached, and what that means."""

    name: str
    picture: Shown
    value: str
    words: str
    is_silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGroup:
    """The favourite inputs of a layer or a head."""

    title: str
    words: str
    pictures: tuple[ShownFavourite, ...]
    left_out: int


def write(folder: InsideFolder, file: Path | None = None) -> Path:
    """Write ``favourites.html`` into the folder, all of it or nothing, and return its path.

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
    groups, room = [], MOST_PICTURES
    for group in facts["groups"]:
        groups.append(_group(group, arrays[f"{group['title']}/pictures"], room))
        room -= len(groups[-1].pictures)
    return fill(
        "favourites.html",
        styles=("looking.css", "inside.css"),
        run={"name": short(facts)},
        facts=facts,
        title=title(facts),
        groups=groups,
        has_real=any(p["real"] is not None for g in facts["groups"] for p in g["pictures"]),
        command=shlex.join(facts["command"]),
        settings=_settings(facts),
        environment=environment(facts),
    )


def title(facts: Mapping[str, Any]) -> str:
    """The page's first sentence."""
    count = sum(len(group["pictures"]) for group in facts["groups"])
    whose = wording.together([group["title"] for group in facts["groups"][:4]])
    more = " and more" if len(facts["groups"]) > 4 else ""
    return f"What excites {facts['network']} most: {count:,} favourite inputs of {whose}{more}."


def _group(group: Mapping[str, Any], pictures: Array, room: int) -> ShownGroup:
    records = group["pictures"][: max(0, room)]
    silent = sum(each["is_silent"] for each in group["pictures"])
    words = []
    if len(group["pictures"]) < group["of"]:
        words.append(f"{len(group['pictures'])} of {group['of']:,}.")
    if silent:
        what = "1 is" if silent == 1 else f"{silent} are"
        words.append(
            f"{what} silent: no step from a gray picture, nor a way past its ReLU, made it answer, "
            "so there is no picture to show."
        )
    beyond = sum(each["real"] is not None and each["reached"] > each["real"] for each in records)
    known = sum(each["real"] is not None for each in records)
    if known:
        words.append(f"{beyond} of {known} excite more than the strongest real image does.")
    side = _LARGE_SIDE if len(records) <= _FEW and pictures.shape[3] > 64 else _SIDE
    return ShownGroup(
        title=group["title"],
        words=" ".join(words),
        pictures=tuple(
            _shown(each, picture, group["title"], side)
            for each, picture in zip(records, pictures, strict=False)
        ),
        left_out=len(group["pictures"]) - len(records),
    )


def _shown(record: Mapping[str, Any], picture: Array, of: str, side: int) -> ShownFavourite:
    real = record["real"]
    if record["is_silent"]:
        words = "no way found to excite it"
        if real is not None:
            words += f"; strongest real image {wording.score(real)}, {record['real_image']}"
    elif real is not None:
        words = f"strongest real image {wording.score(real)}, {record['real_image']}"
    else:
        words = f"gray {wording.score(record['started'])}"
    return ShownFavourite(
        name=record["name"],
        picture=favourite_shown(picture, f"favourite input of {of} {record['name']}", side=side),
        value=wording.score(record["reached"]),
        words=words,
        is_silent=record["is_silent"],
    )


def _settings(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("network", facts["network"]),
        ("from", facts["source"]),
        ("sees", sees(facts)),
        ("recipe", facts["recipe"]),
        ("steps", f"{facts['steps']:,}"),
        ("rate", f"{facts['rate']:g}"),
        ("start", facts["start"]),
        ("seed", str(facts["seed"])),
        ("beside", facts["beside"] or "no real images"),
    ]

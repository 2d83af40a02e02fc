"""What a network looks at, as one self-contained page, made from a folder of saved explanations.

Needs neither an engine nor the original pictures.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convoscope import disk
from convoscope.arrays import FloatArray
from convoscope.report import wording
from convoscope.report.forgetting import forgetting_section
from convoscope.report.looking import Shown, ShownImage, main_targets, shown_image, view_of
from convoscope.report.looking_maps import (
    MOST_MAPS,
    ShownMaps,
    filter_sections,
    map_sections,
)
from convoscope.report.looking_neurons import ShownNeurons, neuron_groups
from convoscope.report.looking_style import legend_style
from convoscope.report.shell import fill
from convoscope.report.trust import Judge, judge_of, trust_section
from convoscope.runs.explanation_files import ExplanationFolder
from convoscope.runs.explanation_scores import read_scores
from convoscope.runs.explanations import About, ExplainedImage

MOST_IMAGES: Final = 24
"""So many images stand on the page; the folder holds all."""

_MAPS_ON_PAGE, _FEWEST_MAPS = 4000, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """An image, and the heat of each class on its own scale and on one scale for the row."""

    name: str
    picture: Shown
    said: str
    own: tuple[Shown, ...]
    common: tuple[Shown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The heat of the same classes for several images; ``said`` marks what the network says."""

    classes: tuple[str, ...]
    rows: tuple[GridRow, ...]
    layer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """An image and all that was found in it."""

    image: ShownImage
    neurons: tuple[ShownNeurons, ...]
    maps: tuple[ShownMaps, ...]


def write(folder: ExplanationFolder, file: Path | None = None) -> Path:
    """Write ``explain.html`` into the folder, all of it or nothing, and return its path.

    Raises:
        RunError: if the folder is not whole.
        StorageError: if the disk is full or not writable.
    """
    page = file or folder.page_file
    disk.write_text(page, render(folder))
    return page


def render(folder: ExplanationFolder) -> str:
    """The page as text."""
    filters, scores = folder.filters(), read_scores(folder.path)
    judge = judge_of(folder.path)
    looked, rows = [], []
    shown = min(len(folder), MOST_IMAGES)
    for image in folder.images(MOST_IMAGES):
        looked.append(_looked(image, folder.about, filters, judge, _maps_each(image, shown)))
        rows += _grid_row(image, folder.about)
    return fill(
        "explain.html",
        panels=max(1, len(looked)),
        styles=("looking.css", "explain.css", "forgetting.css"),
        run={"name": _short(folder.about)},
        about=folder.about,
        title=title(folder),
        banners=[*_banners(folder), *folder.about.notes],
        problems=folder.problems,
        images=looked,
        left_out=len(folder) - shown,
        trust=trust_section(scores) if scores and scores.images else None,
        forgetting=forgetting_section(folder.path, scores) if scores else None,
        grid=grid_of(rows, folder.about),
        filters=filter_sections(filters),
        neurons=neuron_table(looked),
        legends=legend_style(),
        command=shlex.join(folder.about.command),
        settings=_settings(folder.about),
        environment=_environment(folder.about),
    )


def title(folder: ExplanationFolder) -> str:
    """The page's first sentence."""
    pictures = wording.counted(len(folder), "picture")
    if not folder.entries:
        return f"What {folder.about.network} looks for: its filters."
    return f"What {folder.about.network} looks at in {pictures}."


def neuron_table(looked: Sequence[Looked]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Per image and group of neurons the positions and values: (file, group, [(position, value)]).

    A table as papers print it.
    """
    return [
        (
            one.image.file,
            group.title,
            [(neuron.position, neuron.value) for neuron in group.neurons],
        )
        for one in looked
        for group in one.neurons
    ]


def grid_of(rows: Sequence[tuple[tuple[str, ...], str, GridRow]], about: About) -> Grid | None:
    """The grid of images by classes, where every image was explained for the same three or more."""
    if not rows or len({classes for classes, _, _ in rows}) != 1:
        return None
    classes, layer, _ = rows[0]
    return Grid(classes=classes, rows=tuple(row for _, _, row in rows), layer=layer)


def _looked(
    image: ExplainedImage,
    about: About,
    filters: Mapping[str, FloatArray],
    judge: Judge,
    most: int,
) -> Looked:
    shown = shown_image(image, about, targets=main_targets(image))
    return Looked(
        image=judge(shown, image),
        neurons=neuron_groups(image),
        maps=map_sections(image, filters, most=most),
    )


def _maps_each(image: ExplainedImage, images: int) -> int:
    """How many maps of each layer the page shows, so that it stays a page."""
    layers = max(1, len(image.maps))
    return max(_FEWEST_MAPS, min(MOST_MAPS, _MAPS_ON_PAGE // (layers * images)))


def _grid_row(image: ExplainedImage, about: About) -> list[tuple[tuple[str, ...], str, GridRow]]:
    """The row of an image whose classes were all explained, with its classes and its layer."""
    maps = [
        view for view in image.views if view.facts.kind == "map" and view.facts.method == "grad-cam"
    ]
    if len(image.facts.targets) < 3 or not maps:
        return []
    view, places = maps[0], range(len(image.facts.targets))
    limit = float(view.values.max())
    said = image.facts.said[0]
    row = GridRow(
        name=image.facts.file,
        picture=shown_image(image, about, targets=()).picture,
        said=said.classes[0],
        own=tuple(view_of(image, view, place, about) for place in places),
        common=tuple(view_of(image, view, place, about, limit=limit) for place in places),
    )
    return [(tuple(target.name for target in image.facts.targets), view.facts.layer, row)]


def _banners(folder: ExplanationFolder) -> list[str]:
    found = []
    if folder.status != "finished":
        found.append(
            "This explanation was stopped before all images were done; what is done is here."
        )
    if folder.problems:
        images = wording.counted(len(folder.problems), "image")
        found.append(f"{images} could not be read: {'; '.join(folder.problems[:3])}")
    return found


def _short(about: About) -> str:
    return Path(about.source).name or about.network


def _settings(about: About) -> list[tuple[str, str]]:
    channels, height, width = about.input_shape
    fields = [
        (f"patch of {layer.name}", f"{layer.field[0]} × {layer.field[1]} pixels, clipped")
        for layer in about.layers
        if layer.field is not None
    ]
    return [
        ("network", about.network),
        ("from", about.source),
        ("sees", f"{height} × {width} pixels, {channels} channel{'s' if channels > 1 else ''}"),
        ("methods", ", ".join(method.name for method in about.methods)),
        ("heat from", ", ".join(about.heat_layers)),
        *fields[:8],
    ]


def _environment(about: About) -> list[tuple[str, str]]:
    facts = {"started": about.started, "engine": about.engine, **about.versions}
    facts |= {name: str(about.machine.get(name, "")) for name in ("system", "processor", "cores")}
    return [(name, value) for name, value in facts.items() if value]

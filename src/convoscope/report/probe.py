"""The section of a run's report on how the network came to see what it sees, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.explain import enlarge
from convoscope.pictures.heat import overlay
from convoscope.pictures.maps import enlarged, exact_uri, filter_tile
from convoscope.pictures.mosaics import Scale, colour_filter, map_colours, scale_of
from convoscope.pictures.thumbnails import data_uri, zoom
from convoscope.report import wording
from convoscope.runs.probed import Probed, ProbedEpoch, ProbePlan, read_probed

_SIDE = 64
_COLUMNS = 12
_FILTERS_ACROSS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedShown:
    """An image with what spoke for its class, and what the network said of it."""

    uri: str
    id: str
    label: str
    said: str
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetShown:
    """Maps of a layer, or filters, in one picture."""

    uri: str
    title: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochShown:
    """All pictures of an epoch."""

    name: str
    words: str
    images: tuple[ProbedShown, ...]
    sheets: tuple[SheetShown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSection:
    """The section: what is seen, and every epoch that was kept."""

    sentence: str
    epochs: tuple[EpochShown, ...]


def probe_section(run: Path) -> ProbeSection | None:
    """What the run has kept of its probe images, as a section; ``None`` where nothing was.

    Raises:
        RunError: if it is not whole.
    """
    probed = read_probed(run)
    if probed is None or not probed.epochs:
        return None
    scales = {
        layer.name: scale_of(np.stack([epoch.maps[layer.name] for epoch in probed.epochs]))
        for layer in probed.plan.layers
    }
    limit = max((float(np.abs(epoch.filters).max(initial=0)) for epoch in probed.epochs), default=0)
    return ProbeSection(
        sentence=_sentence(probed),
        epochs=tuple(
            EpochShown(
                name=_name(epoch.epoch),
                words=_words(epoch, probed.plan),
                images=_images(probed, epoch),
                sheets=(
                    *_filters(epoch.filters, limit, probed.plan),
                    *_maps(epoch.maps, scales, probed.plan),
                ),
            )
            for epoch in probed.epochs
        ),
    )


def _sentence(probed: Probed) -> str:
    plan, numbers = probed.plan, [str(epoch.epoch) for epoch in probed.epochs if epoch.epoch]
    kept = f" and after epochs {', '.join(numbers)}" if numbers else ""
    return (
        f"{wording.counted(len(plan.ids), f'{plan.split} image')}, drawn evenly over the classes, "
        f"as the network saw them before it learnt anything{kept}. The colours are Grad-CAM at "
        f"{plan.heat_layer}: where the evidence lies that an image is what it is, each image on a "
        "scale of its own. Maps and filters keep one scale over all epochs. No choice used any of "
        "this."
    )


def _name(epoch: int) -> str:
    return f"After epoch {epoch}" if epoch else "Before learning"


def _words(epoch: ProbedEpoch, plan: ProbePlan) -> str:
    labels = np.array(plan.labels)
    right = int((epoch.probabilities.argmax(axis=1) == labels).sum())
    own = float(epoch.probabilities[np.arange(len(labels)), labels].mean())
    return (
        f"{right} of {len(labels)} have their own class as the most probable one, which is given "
        f"{wording.share(own)} on average."
    )


def _images(probed: Probed, epoch: ProbedEpoch) -> tuple[ProbedShown, ...]:
    names, shown = probed.plan.class_names, []
    for place, (id_, label) in enumerate(zip(probed.plan.ids, probed.plan.labels, strict=True)):
        picture, heat = probed.images[place], epoch.heat[place]
        picture = enlarged(picture, zoom(picture, side=_SIDE))
        said = int(epoch.probabilities[place].argmax())
        size = (picture.shape[0], picture.shape[1])
        shown.append(
            ProbedShown(
                uri=data_uri(overlay(picture, enlarge(heat, size), float(heat.max()))),
                id=id_,
                label=names[label],
                said=f"{names[said]} {wording.share(float(epoch.probabilities[place, said]))}",
                is_right=said == label,
            )
        )
    return tuple(shown)


def _filters(filters: FloatArray, limit: float, plan: ProbePlan) -> tuple[SheetShown, ...]:
    if not len(filters):
        return ()
    is_colour = filters.shape[1] == 3
    draw = colour_filter if is_colour else filter_tile
    tiles = [_opaque(draw(one, limit)) for one in filters]
    zero = "gray is 0" if is_colour else "orange above 0, blue below"
    words = f"filters {_listed(plan.filters)}; {zero}"
    uri = exact_uri(_sheet(tiles, _FILTERS_ACROSS))
    return (SheetShown(uri=uri, title=f"{plan.filter_layer}: filters", words=words),)


def _maps(
    maps: Mapping[str, FloatArray], scales: Mapping[str, Scale], plan: ProbePlan
) -> tuple[SheetShown, ...]:
    """Per layer a sheet: a row for each channel, a column for each of the first images."""
    sheets = []
    for layer in plan.layers:
        found = maps[layer.name][:_COLUMNS]
        colours = map_colours(found, scales[layer.name])
        across, tall = colours.shape[:2]
        tiles = [_opaque(colours[n, m]) for m in range(tall) for n in range(across)]
        words = f"channels {_listed(layer.channels)} from above; a column is an image"
        uri = exact_uri(_sheet(tiles, across))
        sheets.append(SheetShown(uri=uri, title=f"{layer.name}: maps", words=words))
    return tuple(sheets)


def _sheet(tiles: Sequence[ByteArray], across: int) -> ByteArray:
    """Tiles (h, w, 4) in rows, a clear pixel apart."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // across)
    shape = (rows * (height + 1) - 1, min(across, len(tiles)) * (width + 1) - 1, 4)
    sheet: ByteArray = np.zeros(shape, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // across * (height + 1), place % across * (width + 1)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _opaque(image: ByteArray) -> ByteArray:
    """An image (h, w, 3 or 4) with four channels."""
    if image.shape[2] == 4:
        return image
    return np.concatenate([image, np.full_like(image[..., :1], 255)], axis=2)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))

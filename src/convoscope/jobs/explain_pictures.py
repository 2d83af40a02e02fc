"""The pictures of an explained image, as PNG files whose names say what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.explain import enlarge, gradient_picture
from convoscope.pictures.heat import framed, overlay
from convoscope.pictures.maps import enlarged, png
from convoscope.pictures.mosaics import as_rows, mosaic_of_filters, mosaic_of_maps, scale_of
from convoscope.pictures.thumbnails import zoom
from convoscope.runs.explanation_files import PictureFile
from convoscope.runs.explanations import ClassTarget, ExplainedImage, SeenNeuron, View


def pictures_of(image: ExplainedImage) -> Iterator[PictureFile]:
    """The picture as the network sees it, every method's for every class, every neuron's patch and
    gradient, and the maps of every layer that was kept.
    """
    yield PictureFile(
        name="input.png",
        png=png(enlarged(image.picture, zoom(image.picture))),
        what="the image as the network sees it",
    )
    for view in image.views:
        for place, target in enumerate(image.facts.targets):
            yield _view(image, view, place, target)
    for place, neuron in enumerate(image.facts.neurons):
        yield from _neuron(image, place, neuron)
    for layer, maps in image.maps.items():
        yield _maps(layer, maps)


def pictures_of_filters(filters: Mapping[str, FloatArray]) -> Iterator[PictureFile]:
    """All filters (F, C, k, k) of each layer, numbered."""
    for layer, values in filters.items():
        limit = float(np.abs(values).max())
        yield PictureFile(
            name=f"filters-{_word(layer)}.png",
            png=png(mosaic_of_filters(values, range(len(values)))),
            what=f"all {len(values)} filters of {layer} with their numbers, from {-limit:.4g} to "
            f"{limit:.4g}",
        )


def _view(image: ExplainedImage, view: View, place: int, target: ClassTarget) -> PictureFile:
    values = view.values[place]
    parts = [
        view.facts.method,
        view.facts.layer,
        target.head if len(image.facts.said) > 1 else "",
        target.name,
    ]
    name = "-".join(_word(part) for part in parts if part) + ".png"
    where = f" at {view.facts.layer}" if view.facts.layer else ""
    highest = float(values.max(initial=0.0))
    if view.facts.kind == "gradient":
        picture = enlarged(gradient_picture(values), zoom(image.picture))
        what = f"{view.facts.method}{where} for {target.name}: max(0, g) / {highest:.4g}"
    else:
        large = enlarged(image.picture, zoom(image.picture))
        heat = enlarge(values, (large.shape[0], large.shape[1]))
        picture = overlay(large, heat, highest)
        what = (
            f"{view.facts.method}{where} for {target.name}, over the gray image: 0 to {highest:.4g}"
        )
    if highest <= 0:
        what += ", nothing above 0"
    return PictureFile(name=name, png=png(picture), what=what)


def _maps(layer: str, maps: FloatArray) -> PictureFile:
    """All maps (C, h, w) of a layer, or the values (C,) of its units."""
    scale = scale_of(maps)
    if maps.ndim == 1:
        drawn = mosaic_of_maps(as_rows(maps), [0], scale)
        said = f"the {len(maps)} values of {layer}, row by row,"
    else:
        drawn = mosaic_of_maps(maps, range(len(maps)), scale)
        said = f"all {len(maps)} maps of {layer} with their channel numbers,"
    return PictureFile(
        name=f"maps-{_word(layer)}.png",
        png=png(drawn),
        what=f"{said} on one scale from {scale.low:.4g} to {scale.high:.4g} whose colours go with "
        "the square root",
    )


def _neuron(image: ExplainedImage, place: int, neuron: SeenNeuron) -> Iterator[PictureFile]:
    stem = f"neuron-{place + 1}-{_word(neuron.layer)}-" + "-".join(map(str, neuron.position))
    said = f"neuron {neuron.position} of {neuron.layer}, value {neuron.value:.6g}"
    yield PictureFile(
        name=f"{stem}-where.png",
        png=png(framed(image.picture, neuron.exact, neuron.effective, times=zoom(image.picture))),
        what=f"{said}: its exact patch framed white, its effective patch yellow",
    )
    part = _inside(image.picture, neuron)
    if part.size:
        yield PictureFile(
            name=f"{stem}-patch.png",
            png=png(enlarged(part, zoom(part))),
            what=f"{said}: the part of the image that reaches it",
        )
    yield PictureFile(
        name=f"{stem}-gradient.png",
        png=png(enlarged(gradient_picture(image.gradients[place]), zoom(image.picture))),
        what=f"{said}: its gradient, max(0, g) / max"
        + (", black because the neuron is silent" if neuron.value == 0 else ""),
    )


def _inside(picture: ByteArray, neuron: SeenNeuron) -> ByteArray:
    box = neuron.exact
    return np.ascontiguousarray(picture[box.top : box.bottom, box.left : box.right])


def _word(name: str) -> str:
    # Grad-CAM++ is not Grad-CAM, on disk either.
    return re.sub(r"[^\w.-]+", "-", name.replace("++", "-plus-plus")).strip("-")

"""A trained run looked into: its confusion matrices, its feature maps, what its neurons see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from markupsafe import Markup

from convoscope.architecture.layers import Conv2d
from convoscope.arrays import ByteArray, FloatArray
from convoscope.explain import feature_maps, patch, strongest
from convoscope.jobs.prepare import Prepared, prepare_again
from convoscope.jobs.settings import asked_request
from convoscope.jobs.trained import trained_network
from convoscope.metrics.classification import confusion
from convoscope.network import Network
from convoscope.pictures.confusion import confusion_matrix
from convoscope.pictures.heat import framed
from convoscope.pictures.maps import exact_uri
from convoscope.pictures.mosaics import mosaic_of_maps, scale_of
from convoscope.pictures.svg import element
from convoscope.runs import Run

MAPS_SHOWN = 8


def confusion_matrices(run: Run) -> Markup:
    """The matrix of each head on each split."""
    figures = []
    for split in run.splits():
        for head in run.predictions(split).heads.values():
            drawn = confusion_matrix(confusion(head), list(head.class_names))
            figures.append(_figure(drawn, split))
    return element("div", *figures, class_="charts")


def looked_into(run: Run) -> Markup:
    """The maps of a training image in every convolution, and for an image of each class the patch
    behind the strongest neuron of the last one.
    """
    request = asked_request(run.path, run.record().settings)
    prepared = prepare_again(run, request)
    network = trained_network(run)
    convolutions = [
        name
        for name in network.layer_names
        if isinstance(network.architecture.place(name).layer, Conv2d)
    ]
    rows = _a_row_of_each_class(prepared)
    images = prepared.decoded.images[np.array(rows)]
    maps = feature_maps(network, images.transpose(0, 3, 1, 2), convolutions)
    names = [prepared.dataset.ids[row] for row in rows]
    shown = element("h3", f"Feature maps of {names[0]}")
    shown += element("div", *_maps(convolutions, maps), class_="stack")
    last = convolutions[-1]
    shown += element("h3", f"What the strongest neuron of {last} sees")
    patches = _patches(network, last, maps[last], images, names)
    return shown + element("div", *patches, class_="charts")


def _a_row_of_each_class(prepared: Prepared) -> list[int]:
    """The first training image of each class of the first head."""
    train = prepared.splits.indices["train"]
    labels = next(iter(prepared.dataset.labels.values()))[train]
    return [int(train[np.flatnonzero(labels == k)[0]]) for k in np.unique(labels[labels >= 0])]


def _maps(layers: list[str], maps: Mapping[str, FloatArray]) -> Iterator[Markup]:
    for layer in layers:
        first = maps[layer][0][:MAPS_SHOWN]
        drawn = mosaic_of_maps(first, list(range(len(first))), scale_of(first))
        count, height, width = maps[layer].shape[1:]
        words = f"{layer}: {len(first)} of {count} maps, {height} x {width}"
        yield _figure(_image(drawn, words), words)


def _patches(
    network: Network, layer: str, maps: FloatArray, images: ByteArray, names: list[str]
) -> Iterator[Markup]:
    for one, image, name in zip(maps, images, names, strict=True):
        (neuron,) = strongest(layer, one, 1)
        box = patch(network, layer, neuron.row, neuron.column)
        words = (
            f"{name}: row {neuron.row}, column {neuron.column}, channel {neuron.channel}, "
            f"output {neuron.value:.3g}; rows {box.top} to {box.bottom - 1}, columns {box.left} "
            f"to {box.right - 1}"
        )
        yield _figure(_image(framed(image, box), words), words)


def _image(picture: ByteArray, words: str) -> Markup:
    height, width = picture.shape[:2]
    return element("img", src=exact_uri(picture), width=width, height=height, alt=words)


def _figure(drawn: Markup, words: str) -> Markup:
    return element("figure", drawn, element("figcaption", words), class_="drawing")

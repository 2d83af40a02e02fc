"""Slide filters over pictures with the NumPy engine and keep what comes out, as a run.

One layer has one filter, drawn or given; two layers have 32 and 64 drawn filters, each with a
ReLU. No deep-learning library has a part in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from convoscope import engines
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import Conv2d
from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.data.decoding import network_input, open_image
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import DataError, ReconciliationError, SettingsError
from convoscope.jobs.environment import machine, versions
from convoscope.jobs.folder import claim
from convoscope.jobs.kernels import KAIMING, read_kernel
from convoscope.jobs.predict import find_images
from convoscope.jobs.progress import Progress, unwatched
from convoscope.network import Network
from convoscope.pictures import maps as pictures
from convoscope.pictures.thumbnails import shrink
from convoscope.runs import Run, RunRecord
from convoscope.runs.convolution import (
    CONVOLVE,
    Convolution,
    ConvolvedImage,
    FilterLayer,
    write_convolution,
    write_picture,
)

SHOWN = 10
"""So many filters of a layer, the first ones, are shown with their maps."""

MOST_IMAGES = 24
LARGEST_SIZE = 2048
_PICTURE_SIDE = 448
_STACK = (32, 64)
_PUBLISHED: Mapping[tuple[int, str], str] = {
    (1, "conv1"): "222 × 222",
    (2, "conv1"): "222 × 222 × 32",
    (2, "conv2"): "220 × 220 × 64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolveRequest:
    """What to slide over what. ``filter`` is a name, a file, or rows such as "1 0 -1; 2 0 -2;
    1 0 -1"; with two layers all filters are drawn. ``size`` is the side of the square, gray image.
    """

    images: tuple[str, ...]
    filter: str = KAIMING
    layers: int = 1
    size: int = 224
    stride: int = 1
    padding: int = 0
    seed: int = 0

    def command(self) -> tuple[str, ...]:
        """The words of the command that asks for this; what is usual is left out."""
        words = ["convoscope", "convolve", *self.images]
        usual = ConvolveRequest(images=())
        for name in ("filter", "layers", "size", "stride", "padding", "seed"):
            value = getattr(self, name)
            if value != getattr(usual, name):
                # One word, because a filter's rows may begin with a minus sign.
                words.append(f"--{name}={value}")
        return tuple(words)


def convolve(
    request: ConvolveRequest, *, out: str | Path | None = None, progress: Progress = unwatched
) -> Run:
    """Compute the maps of every image and write the run.

    Raises:
        DataError: if an image is not there or cannot be decoded, or there are too many.
        SettingsError: if the filter, the size or the number of layers is none.
        ShapeError: if a filter is larger than the image.
        RunError: if ``out`` holds something already.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    network, name = filter_network(request)
    files = find_images([Path(image) for image in request.images])
    if len(files) > MOST_IMAGES:
        raise DataError(
            f"a page of maps is made of at most {MOST_IMAGES} images, got {len(files)}: name fewer"
        )
    images = []
    for done, file in enumerate(files, start=1):
        images.append(_convolved(file, network))
        progress("convolving", done, len(files))
    found = Convolution(filter=name, layers=_layers(network, request, images), images=tuple(images))
    kept = replace(found, images=tuple(_shown_maps(image, found.layers) for image in images))
    what = name if request.layers == 1 else "two-layers"
    run = claim(out, data="convolve", model=what)
    _write(run, request, kept, started.isoformat(timespec="seconds"), time.monotonic() - clock)
    return run


def filter_network(request: ConvolveRequest) -> tuple[Network, str]:
    """The filters as a network of the NumPy engine, and their name.

    Raises:
        SettingsError: if the filter, the size or the number of layers is none.
        ShapeError: if a filter is larger than the image.
    """
    if not 1 <= request.size <= LARGEST_SIZE:
        raise SettingsError(
            f"--size must lie in 1 to {LARGEST_SIZE} pixels, got {request.size}: 224 is usual"
        )
    if request.layers not in (1, 2):
        raise SettingsError(f"--layers must be 1 or 2, got {request.layers}: choose one of them")
    name, kernel = read_kernel(request.filter)
    if request.layers == 2 and kernel is not None:
        raise SettingsError(
            f"--filter {request.filter!r}: a filter of one's own makes one layer, got --layers 2: "
            "leave one of the two away"
        )
    architecture = Architecture(
        name="filters", input_shape=(1, request.size, request.size), layers=_convs(request, kernel)
    )
    parameters = None if kernel is None else {"conv1.weight": kernel[None, None]}
    network = engines.build(
        architecture,
        preprocessing=Preprocessing(size=(request.size, request.size), order="gray"),
        engine="numpy",
        seed=request.seed,
        parameters=parameters,
    )
    return network, name


def feature_maps(network: Network, images: Array) -> Mapping[str, FloatArray]:
    """Per layer the maps (N, F, h, w) of images (N, 1, H, W), uint8 or floats in [0, 1].

    Raises:
        ShapeError: if the images are of another shape, of another integer type, or not finite.
    """
    with network.trace(images, layers=network.layer_names) as trace:
        return dict(trace.activations)


def _convs(request: ConvolveRequest, kernel: FloatArray | None) -> tuple[Conv2d, ...]:
    if request.layers == 1:
        k = 3 if kernel is None else len(kernel)
        return (
            Conv2d(
                "conv1",
                1,
                kernel_size=k,
                stride=request.stride,
                padding=request.padding,
                bias=False,
            ),
        )
    return tuple(
        Conv2d(
            f"conv{number}",
            filters,
            stride=request.stride,
            padding=request.padding,
            activation="relu",
        )
        for number, filters in enumerate(_STACK, start=1)
    )


def _convolved(file: Path, network: Network) -> ConvolvedImage:
    picture = open_image(file)
    gray = network_input(picture, network.preprocessing)  # (H, W, 1)
    found = feature_maps(network, gray.transpose(2, 0, 1)[None])
    return ConvolvedImage(
        file=str(file),
        picture=shrink(picture[None], longest=_PICTURE_SIDE)[0],
        gray=gray[..., 0],
        maps={name: maps[0] for name, maps in found.items()},
    )


def _layers(
    network: Network, request: ConvolveRequest, images: Sequence[ConvolvedImage]
) -> tuple[FilterLayer, ...]:
    """The layers with the size that the formula says, checked against what came out."""
    parameters, size = network.parameters(), request.size
    layers = []
    for layer in network.architecture.layers:
        assert isinstance(layer, Conv2d)
        expected = (size - layer.kernel_size + 2 * request.padding) // request.stride + 1
        obtained = images[0].maps[layer.name].shape
        if obtained != (layer.filters, expected, expected):
            raise ReconciliationError(
                f"layer {layer.name!r}: the maps must be {layer.filters} of {expected}x{expected}, "
                f"got an array of shape {obtained}: this is a mistake of convoscope"
            )
        is_published = (request.size, layer.kernel_size) == (224, 3)
        is_published = is_published and (request.stride, request.padding) == (1, 0)
        layers.append(
            FilterLayer(
                name=layer.name,
                filters=parameters[f"{layer.name}.weight"],
                activation=layer.activation,
                input_size=size,
                stride=request.stride,
                padding=request.padding,
                expected=expected,
                obtained=(obtained[0], obtained[1], obtained[2]),
                published=_PUBLISHED[request.layers, layer.name] if is_published else None,
                shown=tuple(range(min(SHOWN, layer.filters))),
            )
        )
        size = expected
    return tuple(layers)


def _shown_maps(image: ConvolvedImage, layers: Sequence[FilterLayer]) -> ConvolvedImage:
    return replace(
        image, maps={layer.name: image.maps[layer.name][list(layer.shown)] for layer in layers}
    )


def _write(
    run: Run, request: ConvolveRequest, found: Convolution, started: str, seconds: float
) -> None:
    """The arrays, the pictures, and last of all the record: with it the run is whole."""
    write_convolution(run, found)
    for layer in found.layers:
        write_picture(run, f"filters-{layer.name}", filter_sheet(layer))
    for number, image in enumerate(found.images, start=1):
        stem = f"{number}-{Path(image.file).stem}"
        write_picture(run, f"{stem}-gray", pictures.png(image.gray[..., None]))
        for layer in found.layers:
            write_picture(run, f"{stem}-{layer.name}", map_sheet(layer, image.maps[layer.name]))
    named = ", ".join(Path(image.file).stem for image in found.images)
    run.write_record(
        RunRecord(
            kind=CONVOLVE,
            settings={
                name: getattr(request, name)
                for name in ("filter", "layers", "size", "stride", "padding", "seed")
            },
            command=request.command(),
            seed=request.seed,
            started=started,
            status="finished",
            data={"name": named, "images": [image.file for image in found.images]},
            versions=versions(),
            machine=machine(),
            seconds=seconds,
        )
    )


def filter_sheet(layer: FilterLayer) -> bytes:
    """The layer's shown filters as a PNG file."""
    limit = float(np.abs(layer.filters).max())
    tiles = []
    for number in layer.shown:
        tile = pictures.filter_tile(layer.filters[number], limit)
        image = pictures.enlarged(tile, max(1, 180 // tile.shape[1]))
        words = pictures.value_range(layer.filters[number])
        tiles.append(pictures.Tile(image=image, title=f"filter {number}", words=words))
    return pictures.sheet(tiles, columns=5)


def map_sheet(layer: FilterLayer, maps: FloatArray) -> bytes:
    """The maps (M, h, w) of the layer's shown filters as a PNG file, a pixel for a value."""
    tiles = [
        pictures.Tile(
            image=_as_colour(pictures.shaded(one)),
            title=f"map {number}",
            words=pictures.value_range(one),
        )
        for number, one in zip(layer.shown, maps, strict=True)
    ]
    return pictures.sheet(tiles, columns=5)


def _as_colour(image: ByteArray) -> ByteArray:
    return np.repeat(image, 3, axis=2)

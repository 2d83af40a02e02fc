"""One pass of a layer over many images, kept block by block: a stopped one goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from convoscope.architecture.files import to_yaml
from convoscope.arrays import ByteArray, FloatArray
from convoscope.data.cache import cache_folder
from convoscope.disk import alone, storing
from convoscope.explain.atlas import KEPT, Answers, answers
from convoscope.jobs.progress import Progress, unwatched
from convoscope.network import Network
from convoscope.transfer.freezing import weights_hash
from convoscope.transfer.kept_maps import KeptMaps

BLOCK = 16
"""Images per pass; what is in memory at once does not grow with the data."""

_VERSION = 1


def survey(
    network: Network,
    layers: tuple[str, ...],
    images: ByteArray,
    *,
    cache_dir: Path | None = None,
    progress: Progress = unwatched,
) -> Mapping[str, Answers]:
    """What every channel of each layer answers to ``images`` (N, H, W, C) uint8, from one pass.

    Twelve bytes per image and channel are kept in the cache, under a name made of the weights, the
    pixels and the layer. What is there already is not computed again.

    Raises:
        UnknownNameError: if there is no such layer; names the nearest.
        ExplainError: if a layer gives values that are not finite numbers.
        StorageError: if the cache's disk is full or not writable.
    """
    shapes = {layer: network.layer_shapes[layer] for layer in layers}
    key = _key(network, images)
    folder = (cache_dir or cache_folder()) / "answers"
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    kept = {
        layer: KeptMaps(
            folder=folder / _name(key, layer),
            images=len(images),
            shape=(KEPT, shape[0]),
            block=BLOCK,
            kind="float32",
        )
        for layer, shape in shapes.items()
    }
    with alone(folder / key[:40]):
        _fill(network, kept, images, progress)
    return {layer: Answers(kept[layer].maps(), _cells(shapes[layer])) for layer in layers}


def _fill(
    network: Network, kept: Mapping[str, KeptMaps], images: ByteArray, progress: Progress
) -> None:
    """Compute whatever block is missing for any of the layers."""
    blocks = range(-(-len(images) // BLOCK))
    missing: dict[int, list[str]] = {}
    for layer, maps in kept.items():
        maps.prepare()
        for block in maps.missing(blocks):
            missing.setdefault(block, []).append(layer)
    done = sum(_count(block, len(images)) for block in blocks if block not in missing)
    progress("looking", done, len(images))
    for block in sorted(missing):
        layers = missing[block]
        rows = slice(block * BLOCK, (block + 1) * BLOCK)
        for layer, found in _answered(network, layers, np.asarray(images[rows])).items():
            kept[layer].write(block, found)
        done += _count(block, len(images))
        progress("looking", done, len(images))


def _answered(network: Network, layers: list[str], images: ByteArray) -> dict[str, FloatArray]:
    upto = layers[0] if len(layers) == 1 else None
    batch = images.transpose(0, 3, 1, 2)
    with network.trace(batch, layers=layers, upto=upto, wrt=()) as trace:
        return {layer: answers(trace.activations[layer]) for layer in layers}


def _count(block: int, images: int) -> int:
    return min(BLOCK, images - block * BLOCK)


def _cells(shape: tuple[int, ...]) -> tuple[int, int]:
    """The (h, w) of a layer's maps; a vector's units are maps of one cell."""
    height, width = shape[1:] or (1, 1)
    return height, width


def _key(network: Network, images: ByteArray) -> str:
    """All that decides what any layer answers."""
    words = [
        _VERSION,
        BLOCK,
        to_yaml(network.architecture),
        asdict(network.preprocessing),
        network.engine,
        weights_hash(network.parameters()),
        str(images.shape),
        hashlib.sha256(np.ascontiguousarray(images).data).hexdigest(),
    ]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _name(key: str, layer: str) -> str:
    return hashlib.sha256(f"{key} {layer}".encode()).hexdigest()[:40]

"""Make the patch atlas of a layer: what in a whole data set excites each channel, and for what."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from convoscope.arrays import Array, ByteArray, FloatArray, IntArray
from convoscope.errors import RunError
from convoscope.explain import target_layer
from convoscope.explain.atlas import Answers, answered, dead, excited, most_often, strongest_images
from convoscope.explain.atlas_classes import Speaks, speaks
from convoscope.explain.filters import convolutions, filters
from convoscope.explain.maximise import maximise
from convoscope.jobs.atlas_images import Asked, asked_images
from convoscope.jobs.atlas_pass import survey
from convoscope.jobs.atlas_patches import SHARE, cut_patches, window_of
from convoscope.jobs.atlas_request import DRAWN_UP_TO, AtlasRequest
from convoscope.jobs.explain_folder import explanation_folder
from convoscope.jobs.explain_subject import Subject
from convoscope.jobs.inside import (
    about,
    check_layer,
    file_word,
    guide_for,
    network_of,
    subject_words,
)
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.source import ReadingOptions
from convoscope.network import Channel, Engine, Network
from convoscope.pictures.favourites import strip
from convoscope.pictures.maps import png
from convoscope.pictures.mosaics import mosaic
from convoscope.runs import Run
from convoscope.runs.explanation_files import PictureFile
from convoscope.runs.inside_files import InsideFolder, Named, open_inside, write_inside

BELOW = "atlas"
"""Where in a run's folder atlases are kept."""

_SHEET_CHANNELS = 64


def atlas_into(
    out: str | Path | None,
    of: Run | Network | str | Path | None = None,
    data: str | Path | None = None,
    *,
    backbone: str | None = None,
    request: AtlasRequest | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
    **options: Unpack[ReadingOptions],
) -> InsideFolder:
    """The atlas of a layer over ``data``, or without it over a run's own images, in a new folder.

    The pass over the images is kept in the cache; one that was stopped goes on where it was.
    ``out`` is ``None`` for the first free folder below the run's ``atlas``, or below ``runs`` for
    a network that is no run. ``options`` say how ``data`` is read.

    Raises:
        ConvoscopeError: if there is no such network, layer or data; says which.
    """
    asked = request or AtlasRequest()
    subject = network_of("atlas", of, backbone=backbone, engine=engine, device=device)
    network = subject.network
    layer = target_layer(network) if asked.layer is None else asked.layer
    check_layer(network, layer)
    given = _given_favourites(asked, subject, layer)
    images = asked_images(
        subject,
        data,
        split=asked.split,
        head=asked.head,
        skip_unreadable=asked.skip_unreadable,
        progress=progress,
        **options,
    )
    found = survey(network, (layer,), images.pixels, progress=progress)[layer]
    best = excited(found, strongest_images(found, asked.patches))
    said = speaks(found.means, images.labels, len(images.class_names))
    window = window_of(network, layer, images.pixels, found, best)
    order = by_selectivity(said, found)
    drawn = given or _drawn(asked, network, layer, order, dead(found), progress)
    patches = cut_patches(network, layer, images.pixels, found, best, window)
    folder = explanation_folder(out, subject, below=BELOW, verb="atlas")
    facts = {
        **about(subject, _command(subject, data, asked, out)),
        **_facts(network, layer, images, found, said, asked),
        "window": window,
        "window_share": SHARE,
        "favourites": [int(channel) for channel in drawn],
        "channels": _channels(images, found, said, best, order),
    }
    arrays = _arrays(network, layer, found, said, patches, drawn)
    return write_inside(folder, "atlas", facts, arrays, _sheets(layer, patches, order))


def by_selectivity(said: Speaks, found: Answers) -> IntArray:
    """The channels (C,), those first whose best class is told apart most surely; without classes,
    and of equal ones, the strongest first.
    """
    best = np.maximum(said.best, 0)[:, None]
    if said.auc.shape[1]:
        low = np.nan_to_num(np.take_along_axis(said.low, best, axis=1)[:, 0], nan=0.0)
    else:
        low = np.zeros(found.channels)
    order: IntArray = np.lexsort((-found.peaks.max(axis=0), -low))
    return order


def _drawn(
    asked: AtlasRequest,
    network: Network,
    layer: str,
    order: IntArray,
    is_dead: Array,
    progress: Progress,
) -> dict[int, ByteArray]:
    """The favourite inputs (C, H, W) by channel, of those that are drawn."""
    most_channels, most_pixels = DRAWN_UP_TO
    is_quick = len(order) <= most_channels and max(network.architecture.input_shape[1:]) <= (
        most_pixels
    )
    usual = len(order) if is_quick else 0
    count = usual if asked.favourites is None else asked.favourites
    chosen = [int(channel) for channel in order if not is_dead[channel]][:count]
    if not chosen:
        return {}
    found = maximise(
        network,
        Channel(layer, tuple(chosen)),
        seed=asked.seed,
        guide=guide_for(network, layer),
        progress=lambda done, total: progress("favourite inputs (steps)", done, total),
    )
    pairs = zip(chosen, found.pictures, found.is_silent, strict=True)
    return {channel: picture for channel, picture, is_silent in pairs if not is_silent}


def _given_favourites(asked: AtlasRequest, subject: Subject, layer: str) -> dict[int, ByteArray]:
    """Favourite inputs that were drawn before, from a folder of ``convoscope maximise``.

    Raises:
        RunError: if it is no such folder, or holds none of this layer of this network.
    """
    if asked.favourites_from is None:
        return {}
    folder = open_inside(asked.favourites_from, "favourites")
    groups = [group for group in folder.facts["groups"] if group["layer"] == layer]
    groups = [group for group in groups if group["kind"] == "filters"]
    name = subject.network.architecture.name
    if folder.facts["network"] != name or not groups:
        raise RunError(
            f"{asked.favourites_from}: favourite inputs must be of layer {layer!r} of {name}, "
            f"these are of {', '.join(g['title'] for g in folder.facts['groups'])} of "
            f"{folder.facts['network']}: name another folder, or draw them with --favourites"
        )
    pictures = folder.arrays()[f"{groups[0]['title']}/pictures"]
    shown = zip(groups[0]["pictures"], pictures, strict=True)
    return {int(each["name"]): picture for each, picture in shown if not each["is_silent"]}


def _facts(
    network: Network,
    layer: str,
    images: Asked,
    found: Answers,
    said: Speaks,
    asked: AtlasRequest,
) -> dict[str, Any]:
    return {
        "layer": layer,
        "shape": list(network.layer_shapes[layer]),
        "data": images.name,
        "sentence": images.sentence,
        "images": found.images,
        "skipped": images.skipped,
        "class_names": list(images.class_names),
        "class_images": said.counts.tolist(),
        "patches": asked.patches,
        "level": said.level,
        "comparisons": said.comparisons,
        "speaking": int((said.for_class() >= 0).sum()),
        "dead": np.flatnonzero(dead(found)).tolist(),
        "dead_at_most": most_often(found.images, said.level),
    }


def _channels(
    images: Asked, found: Answers, said: Speaks, best: IntArray, order: IntArray
) -> list[dict[str, Any]]:
    """A record per channel, the most telling first."""
    counts, is_dead, speaking = answered(found), dead(found), said.for_class()
    peaks, means = found.peaks.max(axis=0), found.means.max(axis=0)
    names = images.class_names

    def figure(values: FloatArray, channel: int) -> float | None:
        k = int(said.best[channel])
        value = float(values[channel, k]) if k >= 0 else math.nan
        return None if math.isnan(value) else value

    records = []
    nearest = said.best
    for channel in order.tolist():
        k = int(nearest[channel])
        records.append(
            {
                "channel": channel,
                "peak": float(peaks[channel]),
                "mean": float(means[channel]),
                "answered": int(counts[channel]),
                "is_dead": bool(is_dead[channel]),
                "class": names[k] if k >= 0 else None,
                "speaks": bool(speaking[channel] >= 0),
                "auc": figure(said.auc, channel),
                "low": figure(said.low, channel),
                "high": figure(said.high, channel),
                "patches": [
                    _patch(images, found, int(image), channel)
                    for image in best[channel]
                    if image >= 0
                ],
            }
        )
    return records


def _patch(images: Asked, found: Answers, image: int, channel: int) -> dict[str, Any]:
    row, column = found.place(image, channel)
    label = int(images.labels[image])
    return {
        "image": images.ids[image],
        "row": row,
        "column": column,
        "value": float(found.peaks[image, channel]),
        "label": images.class_names[label] if label >= 0 else None,
    }


def _arrays(
    network: Network,
    layer: str,
    found: Answers,
    said: Speaks,
    patches: ByteArray,
    drawn: dict[int, ByteArray],
) -> dict[str, Named]:
    arrays = {
        "answers": Named(
            values=np.asarray(found.kept), axes="image, (highest, mean, cell), channel"
        ),
        "patches": Named(values=patches, axes="channel, rank, row, column, colour"),
        "auc": Named(
            values=np.stack([said.auc, said.low, said.high]), axes="figure, channel, class"
        ),
    }
    if drawn:
        arrays["favourites"] = Named(
            values=np.stack(list(drawn.values())), axes="picture, channel, row, column"
        )
    if layer in convolutions(network):
        kernels = filters(network, layer)
        if len(kernels) == found.channels and kernels.shape[1] in (1, 3):
            arrays["filters"] = Named(values=kernels, axes="filter, channel, row, column")
    return arrays


def _sheets(layer: str, patches: ByteArray, order: IntArray) -> Iterator[PictureFile]:
    """The patches of the most telling channels, a row of them for each channel."""
    side = patches.shape[2]
    shown = order[:_SHEET_CHANNELS]
    tiles = [strip(list(patches[channel]), side) for channel in shown]
    yield PictureFile(
        name=f"atlas-{file_word(layer)}.png",
        png=png(mosaic(tiles, [str(channel) for channel in shown], theme="light")),
        what=f"for each of {len(shown)} channels of {layer}, the most telling first, the patches "
        "that excite it most, its number below them",
    )


def _command(
    subject: Subject, data: str | Path | None, asked: AtlasRequest, out: str | Path | None
) -> Sequence[str]:
    named = () if data is None else (str(data),)
    where = () if out is None else (f"--out={out}",)
    return ("convoscope", "atlas", *subject_words(subject), *named, *asked.options(), *where)

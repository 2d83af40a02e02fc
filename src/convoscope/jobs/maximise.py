"""Draw the favourite inputs of a network's filters, neurons and classes, into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.errors import SettingsError
from convoscope.explain.atlas import Answers
from convoscope.explain.maximise import Favourites, maximise
from convoscope.jobs.atlas_images import Asked, asked_images
from convoscope.jobs.atlas_pass import survey
from convoscope.jobs.explain_folder import folder_for
from convoscope.jobs.explain_subject import Subject
from convoscope.jobs.inside import (
    about,
    file_word,
    guide_for,
    network_of,
    subject_words,
)
from convoscope.jobs.maximise_kept import kept
from convoscope.jobs.maximise_request import Group, MaximiseRequest, groups_of
from convoscope.jobs.predictions import logits_of
from convoscope.jobs.progress import Progress, unwatched
from convoscope.network import Channel, ClassLogit, Engine, Network, Neuron
from convoscope.pictures.favourites import favourite_sheet, favourite_tile, sheet_name
from convoscope.pictures.maps import png
from convoscope.runs import Run
from convoscope.runs.explanation_files import PictureFile
from convoscope.runs.inside_files import InsideFolder, Named, write_inside

BELOW = "favourites"
"""Where in a run's folder favourite inputs are kept."""

_GROUPS = "groups"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A group of favourite inputs, and per picture the strongest real image, where one was looked
    for: ``real`` (T,) the highest value of the target over all images, and ``real_ids`` whose.
    """

    group: Group
    found: Favourites
    real: FloatArray | None = None
    real_ids: tuple[str, ...] = ()


def favourite_inputs(
    of: Run | Network | str | Path | None = None,
    *,
    backbone: str | None = None,
    request: MaximiseRequest | None = None,
    beside: str | Path | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> tuple[Drawn, ...]:
    """The pictures that excite filters, neurons or classes of a network most, as arrays.

    ``of`` is a run, its folder or a network; or ``backbone`` names a pretrained one. With
    ``beside``, a data set or images, each value stands beside that of the strongest real image.

    Raises:
        ConvoscopeError: if there is no such network, layer, filter, class or data; says which.
    """
    subject = network_of("maximise", of, backbone=backbone, engine=engine, device=device)
    asked = request or MaximiseRequest()
    groups = groups_of(asked, subject.network, subject.class_names)
    real = None if beside is None else _Real(subject, groups, beside, progress)
    return tuple(_drawn(groups, asked, real, None, progress))


def maximise_into(
    out: str | Path | None,
    of: Run | Network | str | Path | None = None,
    *,
    backbone: str | None = None,
    request: MaximiseRequest | None = None,
    beside: str | Path | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> InsideFolder:
    """As :func:`favourite_inputs`, written into a new folder with pictures; gives it back.

    ``out`` is ``None`` for the first free folder below the run's ``favourites``, or below ``runs``
    for a network that is no run. Stopped and asked for the same again, it goes on with the layers
    that are left.

    Raises:
        ConvoscopeError: as :func:`favourite_inputs`; also if ``out`` holds something already.
    """
    subject = network_of("maximise", of, backbone=backbone, engine=engine, device=device)
    asked = request or MaximiseRequest()
    check_beside(beside, asked)
    # What is wrong with layers or with real images is said before there is a folder.
    groups = groups_of(asked, subject.network, subject.class_names)
    real = None if beside is None else _Real(subject, groups, beside, progress)
    where = () if out is None else (f"--out={out}",)
    compared = () if beside is None else (f"--beside={beside}",)
    words = ("convoscope", "maximise", *subject_words(subject), *asked.options(), *compared, *where)
    with folder_for(words, out, subject, below=BELOW, verb="maximise") as folder:
        drawn = tuple(_drawn(groups, asked, real, folder / _GROUPS, progress))
        facts = {
            **about(subject, words),
            **_facts_of(asked),
            "beside": None if beside is None else str(beside),
            "groups": [_facts(each) for each in drawn],
        }
        found = write_inside(folder, "favourites", facts, _arrays(drawn), _pictures(drawn))
        shutil.rmtree(folder / _GROUPS)
    return found


def _facts_of(asked: MaximiseRequest) -> dict[str, Any]:
    """How the pictures were climbed to, as plain values."""
    recipe = asked.climbing()
    return {
        "recipe": asked.recipe,
        "sentence": recipe.sentence,
        "steps": recipe.steps,
        "rate": recipe.rate,
        "start": asked.start,
        "seed": asked.seed,
    }


def _drawn(
    groups: Sequence[Group],
    asked: MaximiseRequest,
    real: _Real | None,
    folder: Path | None,
    progress: Progress,
) -> Iterator[Drawn]:
    """Group by group; what ``folder`` has of them already is not drawn again."""
    for number, group in enumerate(groups, start=1):
        which = f" {number} of {len(groups)}" if len(groups) > 1 else ""

        def climbed(done: int, total: int, title: str = f"{group.title}{which} (steps)") -> None:
            progress(title, done, total)

        draw = partial(
            maximise,
            group.network,
            group.target,
            recipe=asked.climbing(),
            start=asked.start,
            seed=asked.seed,
            batch=asked.batch,
            guide=None
            if isinstance(group.target, ClassLogit)
            else guide_for(group.network, group.target.layer),
            progress=climbed,
        )
        found = draw() if folder is None else kept(folder / f"{number}.npz", group.target, draw)
        values, ids = (None, ()) if real is None else real.strongest(group)
        yield Drawn(group=group, found=found, real=values, real_ids=ids)


class _Real:
    """The real images that pictures are compared with, and what all groups' layers answer them."""

    def __init__(
        self, subject: Subject, groups: Sequence[Group], beside: str | Path, progress: Progress
    ) -> None:
        self._images: Asked = asked_images(subject, beside, progress=progress)
        layers = dict.fromkeys(g.target.layer for g in groups if isinstance(g.target, Channel))
        network, pixels = subject.network, self._images.pixels
        self._answers: dict[str, Answers] = {}
        if layers:
            self._answers = dict(survey(network, tuple(layers), pixels, progress=progress))
        self._logits: dict[str, FloatArray] = {}
        if any(isinstance(group.target, ClassLogit) for group in groups):
            self._logits = logits_of(network, pixels, batch_size=16, progress=progress)

    def strongest(self, group: Group) -> tuple[FloatArray | None, tuple[str, ...]]:
        """The highest value of each index of the group's target, and in which image."""
        match group.target:
            case Channel(layer=layer, channel=channels):
                values = self._answers[layer].means[:, np.atleast_1d(channels)]
            case ClassLogit(head=head, classes=classes):
                logits = self._logits[head]
                both = np.hstack([-logits, logits]) if logits.shape[1] == 1 else logits
                values = both[:, np.atleast_1d(classes)]
            case Neuron():
                return None, ()
        rows = values.argmax(axis=0)
        return values.max(axis=0), tuple(self._images.ids[row] for row in rows)


def _facts(drawn: Drawn) -> dict[str, Any]:
    """A group as plain values; its pictures are in the array of its title."""
    group, found = drawn.group, drawn.found
    kind = {Channel: "filters", Neuron: "neurons", ClassLogit: "classes"}[type(group.target)]
    return {
        "title": group.title,
        "kind": kind,
        "layer": None if isinstance(group.target, ClassLogit) else group.target.layer,
        "head": group.target.head if isinstance(group.target, ClassLogit) else None,
        "of": group.of,
        "pictures": [
            {
                "name": name,
                "started": float(found.started[t]),
                "reached": float(found.reached[t]),
                "peak": float(found.peaks[t]),
                "is_silent": bool(found.is_silent[t]),
                "real": None if drawn.real is None else float(drawn.real[t]),
                "real_image": drawn.real_ids[t] if drawn.real_ids else None,
            }
            for t, name in enumerate(group.names)
        ],
    }


def _arrays(drawn: Sequence[Drawn]) -> dict[str, Named]:
    arrays: dict[str, Named] = {}
    for each in drawn:
        title = each.group.title
        arrays[f"{title}/pictures"] = Named(
            values=each.found.pictures, axes="picture, channel, row, column"
        )
        arrays[f"{title}/history"] = Named(values=each.found.history, axes="step, picture")
    return arrays


def _pictures(drawn: Sequence[Drawn]) -> Iterator[PictureFile]:
    """A sheet of each group, and each picture by itself."""
    for each in drawn:
        word, names = file_word(each.group.title), each.group.names
        pictures: ByteArray = each.found.pictures.transpose(0, 2, 3, 1)
        yield PictureFile(
            name=sheet_name(each.group.title),
            png=png(favourite_sheet(pictures, names, each.found.is_silent)),
            what=f"the favourite inputs of {each.group.title}, each with its name below it; "
            "crossed out where nothing excites it",
        )
        for picture, name in zip(pictures, names, strict=True):
            yield PictureFile(
                name=f"{word}/{file_word(name) or 'picture'}.png",
                png=png(favourite_tile(picture, times=1)),
                what=f"the favourite input of {each.group.title} {name}, pixel by pixel",
            )


def check_beside(beside: str | Path | None, request: MaximiseRequest) -> None:
    """Refuse to look for real images of neurons alone.

    Raises:
        SettingsError: if nothing that is drawn can be compared.
    """
    if beside is not None and request.neurons and not (request.layers or request.classes):
        raise SettingsError(
            f"--beside {beside}: filters and classes are compared with real images, got neurons "
            "alone: leave it out, or name a layer or a class"
        )

"""Row 11: a trained network looked into, from images, layer names, or both.

What every layer makes of at least six images, the favourite input of every filter by gradient
ascent from a blank image, and where in the images the answers come from, on one page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from convoscope.explain import map_layers
from convoscope.explain.filters import convolutions
from convoscope.jobs.explain import explain_into
from convoscope.jobs.explain_folder import UNFINISHED, folder_for
from convoscope.jobs.explain_request import ExplainRequest
from convoscope.jobs.explain_subject import Subject, subject_of
from convoscope.jobs.inside import check_layer
from convoscope.jobs.maximise import maximise_into
from convoscope.jobs.maximise_request import ALL, MaximiseRequest, layers_with_weights
from convoscope.jobs.progress import Progress, unwatched
from convoscope.network import Engine, Network
from convoscope.report import explain_page, inside_page, maximise_page
from convoscope.runs import Run
from convoscope.runs.explanation_files import MANIFEST, ExplanationFolder, open_explanations
from convoscope.runs.inside_files import InsideFolder, open_inside

BELOW: Final = "inside"
"""Where in a run's folder its page is kept."""

PAGE: Final = "inside.html"
RECIPES: Final = ("plain", "readable")
METHODS: Final = ("grad-cam", "grad-cam++", "occlusion")

TRAINING: Final[Mapping[str, Any]] = {"model": "given-net", "epochs": 10}
"""The network of the source, and for how long it learns, where none is trained yet."""

_IMAGES, _BATCH = "images", 64


def look_inside(
    of: Run | str | Path,
    images: Sequence[str | Path] = (),
    layers: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> Path:
    """Look into a run's network and write the page; gives back its path.

    ``images`` are files and folders; without them some of the run's own are looked at. ``layers``
    are those that are shown, without them all. ``out`` is ``None`` for the first free folder below
    the run's ``inside``. Stopped and asked for the same again, it goes on with what is left.

    Raises:
        ConvoscopeError: if there is no such run, image or layer, or ``out`` holds something else.
    """
    subject = subject_of(of, engine=engine, device=device)
    assert subject.run is not None, "a run was named"
    network = subject.network
    for layer in layers:
        check_layer(network, layer)
    command = _command(subject, images, layers, out)
    on: dict[str, Any] = {"engine": engine, "device": device, "progress": progress}
    with folder_for(command, out, subject, below=BELOW, verb="experiment") as folder:
        if not _is_whole(folder / _IMAGES):
            heat = _heat(network, layers)
            explained = explain_into(folder / _IMAGES, subject.run, images, request=heat, **on)
            explain_page.write(explained)
        for recipe in RECIPES:
            if not _is_whole(folder / recipe):
                drawn = _favourites(subject, layers, recipe)
                maximise_page.write(
                    maximise_into(folder / recipe, subject.run, request=drawn, **on)
                )
        explained, favourites = found_inside(folder / PAGE)
        return inside_page.write(
            folder / PAGE, explained, favourites, command=command, layers=layers
        )


def _is_whole(folder: Path) -> bool:
    """Whether a part was done before the look was stopped."""
    return (folder / MANIFEST).is_file() and not (folder / UNFINISHED).exists()


def found_inside(page: Path) -> tuple[ExplanationFolder, tuple[InsideFolder, ...]]:
    """What the page was made from: the explained images, and the favourite inputs of each recipe.

    Raises:
        RunError: if a folder is not whole.
    """
    folders = (open_inside(page.parent / recipe, "favourites") for recipe in RECIPES)
    return open_explanations(page.parent / _IMAGES), tuple(folders)


def _heat(network: Network, layers: Sequence[str]) -> ExplainRequest:
    """Every layer's output, and heat at those of the layers that give maps."""
    maps = set(map_layers(network))
    heat = tuple(layer for layer in layers if layer in maps)
    return ExplainRequest(methods=METHODS, layers=heat, neurons=0, has_maps=True)


def _favourites(subject: Subject, layers: Sequence[str], recipe: str) -> MaximiseRequest:
    """Every filter and unit of the layers; of the whole network also every class, by its name, in
    the place of the units that give it. Units that are no filters, often a thousand, are drawn in
    the first of the ways alone.
    """
    network = subject.network
    heads = [head for head in network.architecture.heads if head.layers]
    last = {head.layers[-1].name for head in heads}
    chosen = layers or [layer for layer in layers_with_weights(network) if layer not in last]
    if not layers and recipe != RECIPES[0]:
        chosen = [layer for layer in chosen if layer in convolutions(network)]
    return MaximiseRequest(
        layers=tuple(chosen),
        filters=ALL if chosen else None,
        classes=() if layers else (ALL,),
        recipe=recipe,
        batch=_BATCH,
    )


def _command(
    subject: Subject,
    images: Sequence[str | Path],
    layers: Sequence[str],
    out: str | Path | None,
) -> tuple[str, ...]:
    words = ["convoscope", "experiment", "row-11", f"--run={subject.source}"]
    words += [f"--image={image}" for image in images]
    words += [f"--layer={layer}" for layer in layers]
    return (*words, *([] if out is None else [f"--out={out}"]))

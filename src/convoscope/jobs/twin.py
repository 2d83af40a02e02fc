"""The same network on both engines, layer by layer: how far are NumPy and PyTorch apart?

Both get the same parameters and the same picture. Compared are what every layer gives, the
gradient of the most probable class with respect to every layer, and, of one step of plain SGD on
the picture and its mirror images, the gradient of every parameter. One cell can be written out.

Each engine is asked on its own and then let go, so that only one holds a large network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from convoscope.architecture.analysis import analyse
from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.zoo import resolve
from convoscope.arrays import Array, FloatArray, generator
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.inputs import default_preprocessing
from convoscope.errors import SettingsError, unknown_name
from convoscope.jobs.answers import IMAGES, Answer, Question, ask, beside, value_at
from convoscope.jobs.cell import Cell, parse_cell
from convoscope.jobs.definition import check_cell
from convoscope.jobs.likeness import (
    TOLERANCES,
    Difference,
    LayerTwin,
    Twin,
    difference,
    parameter_twins,
)
from convoscope.jobs.predict import network_pixels
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.request import input_shape
from convoscope.jobs.trained import check_has_network
from convoscope.jobs.trained import preprocessing as preprocessing_of
from convoscope.network import Precision
from convoscope.runs import open_run

_LARGE = 200_000_000
"""A network of so many parameters is not computed again in float64 unless that is asked for."""


def twin(
    model: str | Path,
    *,
    input: str | None = None,  # noqa: A002 - the same word as on the command line
    classes: Mapping[str, int] | int | None = None,
    seed: int = 0,
    precision: Precision = "float32",
    image: str | Path | None = None,
    cell: str | None = None,
    gradients: bool = True,
    progress: Progress = unwatched,
) -> Twin:
    """Compute a network on both engines and compare them.

    ``model`` is a ready-made network, a YAML file, or the folder of a run, whose weights are
    then used. Without ``image`` the picture is noise drawn from ``seed``.

    Raises:
        UnknownNameError: if there is no such network, or no such layer as ``cell`` names.
        SettingsError: if the cell lies outside its map, or the precision is not known to both.
        UnreadableImageError: if the image cannot be decoded.
        MissingDependencyError: if PyTorch is not installed.
    """
    if precision not in TOLERANCES:
        raise unknown_name("precision of both engines", precision, TOLERANCES)
    architecture, preprocessing, parameters = _network(str(model), input, classes)
    wanted = _checked_cell(architecture, cell)
    images, picture = _picture(architecture, preprocessing, image, seed)
    question = Question(
        architecture=architecture,
        preprocessing=preprocessing,
        parameters=parameters,
        seed=seed,
        precision=precision,
        images=images,
        untied=_untied(images, seed),
        with_gradients=gradients,
        targets={},
    )
    found = _compared(question, picture, wanted, progress)
    parameter_count = analyse(architecture).parameters
    if found.has_split_gradients and precision == "float32" and parameter_count < _LARGE:
        exact = _compared(replace(question, precision="float64"), picture, None, progress)
        return replace(found, in_float64=max(exact.backward.values()))
    return found


def _network(
    model: str, size: str | None, classes: Mapping[str, int] | int | None
) -> tuple[Architecture, Preprocessing, Mapping[str, FloatArray] | None]:
    """The network, how it sees a picture, and a run's parameters."""
    if Path(model).is_dir():
        run = open_run(model)
        if size is not None or classes is not None:
            raise SettingsError(
                f"{model}: a run's network has the input and the classes it was trained with, got "
                "others: leave --input and --classes away, or name an untrained network"
            )
        check_has_network(run)
        architecture = run.architecture()
        return architecture, preprocessing_of(run, run.model()), run.parameters()
    shape = None
    if size is not None:
        shape = input_shape(size, channels=resolve(model).input_shape[0])
    architecture = resolve(model, input_shape=shape, classes=classes)
    return architecture, default_preprocessing(architecture.input_shape), None


def _checked_cell(architecture: Architecture, text: str | None) -> Cell | None:
    """The cell that is asked for; refused before anything is computed."""
    if text is None:
        return None
    cell = parse_cell(text)
    check_cell(cell, architecture.place(cell.layer))
    return cell


def _picture(
    architecture: Architecture, preprocessing: Preprocessing, image: str | Path | None, seed: int
) -> tuple[Array, str]:
    """What both are shown, (1, C, H, W), and its name."""
    channels = architecture.input_shape[0]
    if image is None:
        noise = generator(seed, "twin").random((1, *architecture.input_shape))
        return noise, f"noise of seed {seed}"
    if channels != preprocessing.channels:
        raise SettingsError(
            f"--image {image}: a picture has 1 or 3 channels, the network takes {channels}: "
            "leave --image away, noise is then used"
        )
    pixels = network_pixels(Path(image), preprocessing)  # (H, W, C)
    return pixels.transpose(2, 0, 1)[None], str(image)


def _untied(images: Array, seed: int) -> Array:
    """Pictures whose pixels are all different, though they round to the same bytes.

    Where two values under a maximum are equal, as in a picture's flat parts, either may get the
    gradient, and what decides is how an engine rounds. A byte v stands for all brightnesses from
    v / 256 to (v + 1) / 256; one of them is drawn.
    """
    if images.dtype != np.uint8:
        return images
    return (images + generator(seed, "twin").random(images.shape)) / 256


def _compared(question: Question, picture: str, cell: Cell | None, progress: Progress) -> Twin:
    ours, targets, cell_twin = ask("numpy", question, cell, progress)
    question = replace(question, targets=targets)
    theirs, _, _ = ask("torch", question, None, progress)
    if cell_twin is not None and cell is not None:
        cell_twin = beside(cell_twin, "torch", value_at(theirs.activations[cell.layer], cell))
    return Twin(
        name=question.architecture.name,
        input_shape=question.architecture.input_shape,
        precision=question.precision,
        picture=picture,
        targets=targets,
        layers=_layers(question.architecture, ours, theirs),
        parameters=parameter_twins(ours.parameters, theirs.parameters),
        cell=cell_twin,
    )


def _layers(architecture: Architecture, ours: Answer, theirs: Answer) -> tuple[LayerTwin, ...]:
    rows = [
        LayerTwin(
            name=place.layer.name,
            kind=place.layer.kind,
            depth=place.depth,
            output_shape=place.output_shape,
            activation=difference(
                ours.activations[place.layer.name], theirs.activations[place.layer.name]
            ),
            gradient=_gradient(place.layer.name, ours, theirs),
        )
        for place in walk(architecture)
    ]
    image = _gradient(IMAGES, ours, theirs)
    if image is None:
        return tuple(rows)
    first = LayerTwin(
        name="image",
        kind="input",
        depth=0,
        output_shape=architecture.input_shape,
        activation=None,
        gradient=image,
    )
    return (first, *rows)


def _gradient(layer: str, ours: Answer, theirs: Answer) -> Difference | None:
    if layer not in ours.gradients:
        return None
    return difference(ours.gradients[layer], theirs.gradients[layer])

"""Say what is in pictures, with a trained run, or with a pretrained network as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convoscope.architecture.graph import logit_shapes
from convoscope.arrays import ByteArray, FloatArray
from convoscope.data.decoding import (
    enough_for,
    has_image_suffix,
    picture_input,
    quiet,
    read_bytes,
    read_picture,
)
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import DataError, SettingsError, UnreadableImageError, WeightsError
from convoscope.jobs.predictions import label
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.trained import class_names, trained_network
from convoscope.network import Engine, Network
from convoscope.runs import Run, open_run
from convoscope.runs.calibration import RunCalibration, calibration_of
from convoscope.transfer import imagenet
from convoscope.transfer.pretrained import pretrained

_BATCH = 64


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """A class and how probable the network thinks it is, in [0, 1]."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePrediction:
    """What the network said of one file: per head its most probable classes, best first; or, in
    ``problem``, why the file could not be read. ``not_sure`` names the heads that would rather
    not say, because their best class is less probable than was asked for.
    """

    file: Path
    heads: Mapping[str, tuple[ClassProbability, ...]]
    problem: str | None = None
    not_sure: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object of ``predict --json``."""
        heads = {
            head: [{"class": found.name, "probability": found.probability} for found in best]
            for head, best in self.heads.items()
        }
        return {
            "file": str(self.file),
            "heads": heads,
            "not_sure": list(self.not_sure),
            "problem": self.problem,
        }


def predict(
    run: Run | str | Path,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 3,
    abstain_below: float | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> list[ImagePrediction]:
    """What is in each image, in the order given; of a folder every file below it, by name.

    A file that cannot be read has a ``problem`` and no heads; the others are not held up by it.
    With ``abstain_below``, a probability, all probabilities are calibrated by the run's
    temperature, and a head whose best class is less probable is ``not_sure``.

    Raises:
        DataError: if a file or folder is not there, or a folder holds no image.
        RunError: if the run has no trained model.
        SettingsError: if ``top`` is below 1, or ``abstain_below`` does not lie in [0, 1].
    """
    _check_top(top)
    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise SettingsError(
            f"abstain_below must be a probability between 0 and 1, got {abstain_below}: 0.8 keeps "
            "silent where the network is less than 80 % sure"
        )
    opened = open_run(run)
    files = _files(images)
    network = trained_network(opened, engine=engine, device=device)
    names = class_names(opened)
    calibration = None if abstain_below is None else calibration_of(opened)
    found = _all_said(network, names, files, top, calibration, progress)
    return found if abstain_below is None else [_silent(image, abstain_below) for image in found]


def predict_with_backbone(
    name: str,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 3,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> list[ImagePrediction]:
    """Which of ImageNet's thousand classes each image shows, by a pretrained network as it is.

    Images and answers are as in :func:`predict`.

    Raises:
        UnknownNameError: if there is no such backbone.
        WeightsError: if its weights are not here, or have no classifier for those classes.
        DataError: if a file or folder is not there, or a folder holds no image.
        SettingsError: if ``top`` is below 1, or the engine cannot compute it.
    """
    _check_top(top)
    files = _files(images)
    network = pretrained(name, engine=engine or "torch", device=device)
    units = logit_shapes(network.architecture)
    if units != {"class": (imagenet.CLASSES,)}:
        raise WeightsError(
            f"backbone {name!r}: naming what is in a photograph needs the logits of ImageNet's "
            f"{imagenet.CLASSES} classes, it has {units['class'][0]}: train it on your own classes "
            "with  convoscope train DATA --backbone, or choose another"
        )
    names = {"class": imagenet.class_names()}
    return _all_said(network, names, files, top, None, progress)


def _check_top(top: int) -> None:
    if top < 1:
        raise SettingsError(f"top must be at least 1 class, got {top}: 3 is usual")


def _files(images: str | Path | Sequence[str | Path]) -> list[Path]:
    named = [images] if isinstance(images, str | Path) else images
    return find_images([Path(name) for name in named])


def _all_said(
    network: Network,
    names: Mapping[str, tuple[str, ...]],
    files: Sequence[Path],
    top: int,
    calibration: RunCalibration | None,
    progress: Progress,
) -> list[ImagePrediction]:
    """What the network says of every file, batch by batch."""
    found: list[ImagePrediction] = []
    for start in range(0, len(files), _BATCH):
        found += _batch(network, names, files[start : start + _BATCH], top, calibration)
        progress("predicting", len(found), len(files))
    return found


def find_images(named: Iterable[Path]) -> list[Path]:
    """Each file named, and the image files below each folder named, by their names.

    Raises:
        DataError: if one is not there, or a folder holds no image.
    """
    files: list[Path] = []
    for path in named:
        if not path.exists():
            raise DataError(f"{path}: there is no such image or folder: name one that exists")
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if _is_image(file))
            if not below:
                raise DataError(f"{path}: a folder must hold images, found none: name another")
            files += below
        else:
            files.append(path)
    return files


def _silent(image: ImagePrediction, threshold: float) -> ImagePrediction:
    """The same prediction, with the heads named that are less sure than ``threshold``."""
    unsure = (head for head, best in image.heads.items() if best[0].probability < threshold)
    return replace(image, not_sure=tuple(unsure))


def _batch(
    network: Network,
    names: Mapping[str, tuple[str, ...]],
    files: Sequence[Path],
    top: int,
    calibration: RunCalibration | None,
) -> list[ImagePrediction]:
    pixels: dict[Path, ByteArray] = {}
    problems: dict[Path, str] = {}
    for file in files:
        try:
            pixels[file] = network_pixels(file, network.preprocessing)
        except UnreadableImageError as error:
            problems[file] = str(error)
    said: Iterator[dict[str, tuple[ClassProbability, ...]]] = iter(())
    if pixels:
        said = _most_probable(network, names, list(pixels.values()), top, calibration)
    best = dict(zip(pixels, said, strict=True))
    return [
        ImagePrediction(file=file, heads=best.get(file, {}), problem=problems.get(file))
        for file in files
    ]


def network_pixels(file: Path, preprocessing: Preprocessing) -> ByteArray:
    """An image file as the network sees it: (H, W, C) uint8, resized.

    Raises:
        UnreadableImageError: if it cannot be decoded.
    """
    try:
        with quiet():
            # As when training decodes: a large JPEG is read at a part of its size.
            picture = read_picture(read_bytes(file), enough=enough_for(preprocessing))
    except UnreadableImageError as error:
        raise UnreadableImageError(
            f"{file}: an image must be readable, but {error}: mend the file, or leave it out"
        ) from error
    return picture_input(picture, preprocessing)


def _is_image(file: Path) -> bool:
    return has_image_suffix(file) and file.is_file()


def _most_probable(
    network: Network,
    names: Mapping[str, tuple[str, ...]],
    pixels: list[ByteArray],
    top: int,
    calibration: RunCalibration | None,
) -> Iterator[dict[str, tuple[ClassProbability, ...]]]:
    logits = network.logits(np.stack(pixels).transpose(0, 3, 1, 2))
    unknown = np.full(len(pixels), -1, dtype=np.int64)
    said = label(
        logits,
        network.architecture,
        split="",
        ids=[str(row) for row in range(len(pixels))],
        labels=dict.fromkeys(logits, unknown),
        class_names=names,
    )
    if calibration is not None:
        said = calibration.predictions(said)
    # What is answered comes first, also where a threshold makes it the less probable one.
    answers = {head: found.predicted() for head, found in said.heads.items()}
    probabilities = {head: found.probabilities() for head, found in said.heads.items()}
    for row in range(len(pixels)):
        yield {
            head: tuple(
                ClassProbability(names[head][k], float(table[row, k]))
                for k in _ranked(table[row], int(answers[head][row]))[:top]
            )
            for head, table in probabilities.items()
        }


def _ranked(probabilities: FloatArray, answer: int) -> list[int]:
    """The classes, the answer first and then by their probabilities (K,)."""
    order = np.argsort(-probabilities, kind="stable").tolist()
    return [answer, *(k for k in order if k != answer)]

"""What a trained run says of a folder of images that nobody has labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convoscope.arrays import ByteArray, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import UnreadableImageError
from convoscope.jobs.predict import find_images, network_pixels
from convoscope.jobs.predictions import label
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.trained import class_names, trained_network
from convoscope.metrics.predictions import Predictions
from convoscope.network import Engine
from convoscope.runs import Run

SPLIT = "unlabelled"
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderPredictions:
    """Predictions without a label, the file of each id, and a sentence per unreadable file."""

    predictions: Predictions
    files: Mapping[str, Path]
    problems: tuple[str, ...]


def predict_folder(
    run: Run,
    folder: Path,
    *,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> FolderPredictions:
    """What the run's network says of each image below ``folder``; ids are the paths.

    Raises:
        DataError: if the folder is not there, or holds no image that can be read.
        RunError: if the run has no trained model.
    """
    files = find_images([folder])
    network = trained_network(run, engine=engine, device=device)
    readable: list[Path] = []
    problems: list[str] = []
    logits: dict[str, list[FloatArray]] = {}
    for start in range(0, len(files), _BATCH):
        pixels, wrong = _batch(files[start : start + _BATCH], network.preprocessing)
        problems += wrong
        if pixels:
            readable += pixels
            images = np.stack(list(pixels.values())).transpose(0, 3, 1, 2)
            for head, found in network.logits(images).items():
                logits.setdefault(head, []).append(found)
        progress("predicting", min(start + _BATCH, len(files)), len(files))
    if not readable:
        raise UnreadableImageError(
            f"{folder}: a folder must hold images that can be read, none of its {len(files)} can: "
            "name another"
        )
    ids = [str(file) for file in readable]
    unknown = np.full(len(ids), -1, dtype=np.int64)
    said = label(
        {head: np.concatenate(parts) for head, parts in logits.items()},
        network.architecture,
        split=SPLIT,
        ids=ids,
        labels=dict.fromkeys(logits, unknown),
        class_names=class_names(run),
    )
    by_id = dict(zip(ids, readable, strict=True))
    return FolderPredictions(predictions=said, files=by_id, problems=tuple(problems))


def _batch(
    files: Sequence[Path], preprocessing: Preprocessing
) -> tuple[dict[Path, ByteArray], list[str]]:
    """The pixels of the readable files, and a sentence for each of the others."""
    pixels: dict[Path, ByteArray] = {}
    problems = []
    for file in files:
        try:
            pixels[file] = network_pixels(file, preprocessing)
        except UnreadableImageError as error:
            problems.append(str(error))
    return pixels, problems

"""A run folder: the only place that knows its file names.

::

    run.json            what was asked, versions, data, status
    split.csv           file, label per head, split, hash
    history.jsonl       one line per epoch
    predictions/        <split>.npz: ids, labels and logits per head
    baseline/           <split>.npz: the same from a pretrained network's features, without learning
    model/              architecture.yaml, weights.safetensors, model.json, calibration.json;
                        frozen.safetensors: what a pretrained network keeps as it was
    checkpoint/         state-<epoch>.safetensors, best-<epoch>.safetensors, progress.json
    samples.npz         small pictures of the images that the report shows
    report.html
    doubts.html         labels to look at again
    lock                the process that is at it, while it is
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from convoscope import disk, notebook
from convoscope.architecture.files import read as read_architecture
from convoscope.architecture.graph import Architecture
from convoscope.arrays import Array, ByteArray
from convoscope.errors import RunError
from convoscope.metrics.classification import whole_right
from convoscope.metrics.intervals import proportion
from convoscope.metrics.predictions import Predictions
from convoscope.runs import files, lock
from convoscope.runs.record import RunRecord, record_from_json


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, open for reading and writing."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def split_file(self) -> Path:
        """``split.csv``."""
        return self.path / "split.csv"

    @property
    def report_file(self) -> Path:
        """``report.html``."""
        return self.path / "report.html"

    @property
    def doubts_file(self) -> Path:
        """``doubts.html``."""
        return self.path / "doubts.html"

    @property
    def architecture_file(self) -> Path:
        """``model/architecture.yaml``."""
        return self.path / "model" / "architecture.yaml"

    def _repr_html_(self) -> str:
        record = self.record()
        rows = [
            (split, len(whole), notebook.figure(*astuple(right)))
            for split in self.splits()
            for whole in [whole_right(self.predictions(split))]
            for right in [proportion(int(whole.sum()), len(whole))]
        ]
        caption = f"{self.name}: {record.kind}, {record.status}"
        return notebook.table(caption, ("split", "images", "accuracy"), rows)

    # -- the record ---------------------------------------------------------------------------

    def record(self) -> RunRecord:
        """What ``run.json`` says.

        Raises:
            RunError: if the folder is missing, is no run, or was written by a newer version.
        """
        return record_from_json(files.read_json(self.path, "run.json"))

    def write_record(self, record: RunRecord) -> None:
        """Replace ``run.json``."""
        files.write_json(self.path, "run.json", record.to_json())

    def update_record(self, **changes: Any) -> RunRecord:
        """Change some fields of ``run.json``."""
        record = replace(self.record(), **changes)
        self.write_record(record)
        return record

    # -- history ------------------------------------------------------------------------------

    def write_history(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Replace ``history.jsonl``: one object per epoch."""
        lines = "".join(json.dumps(dict(epoch), allow_nan=True) + "\n" for epoch in epochs)
        disk.write_text(self.path / "history.jsonl", lines)

    def history(self) -> list[dict[str, Any]]:
        """The epochs so far, oldest first; empty before the first one ends.

        Raises:
            RunError: if a line is cut short.
        """
        return files.read_lines(self.path, "history.jsonl")

    # -- predictions --------------------------------------------------------------------------

    def splits(self) -> tuple[str, ...]:
        """The splits whose predictions are saved, in the order train, validation, test, others."""
        order = {"train": 0, "validation": 1, "test": 2}
        names = [file.stem for file in (self.path / "predictions").glob("*.npz")]
        return tuple(sorted(names, key=lambda name: (order.get(name, 3), name)))

    def write_predictions(self, predictions: Predictions) -> None:
        """Write ``predictions/<split>.npz``."""
        files.write_predictions(self.path, f"predictions/{predictions.split}.npz", predictions)

    def predictions(self, split: str) -> Predictions:
        """What the network said of that split.

        Raises:
            RunError: if these predictions were never saved, or not whole.
        """
        name = f"predictions/{split}.npz"
        if not (self.path / name).exists():
            raise RunError(
                f"{self.path}: there are no predictions for {split!r}, only for "
                f"{', '.join(self.splits()) or 'no split'}: finish the run with  "
                f"convoscope train --resume {self.path}"
            )
        return files.read_predictions(self.path, name, split)

    def write_baseline(self, predictions: Predictions) -> None:
        """Write ``baseline/<split>.npz``: what needed no training, for comparison alone."""
        files.write_predictions(self.path, f"baseline/{predictions.split}.npz", predictions)

    def baseline(self, split: str) -> Predictions:
        """What needed no training, as :meth:`predictions`.

        Raises:
            RunError: if it was never saved, or not whole.
        """
        return files.read_predictions(self.path, f"baseline/{split}.npz", split)

    # -- samples ------------------------------------------------------------------------------

    def write_samples(self, ids: Sequence[str], thumbnails: ByteArray) -> None:
        """Write ``samples.npz``: a small picture (H, W, C) for each id, as (M, H, W, C) uint8.

        Which ids a report needs says :func:`convoscope.metrics.mistakes.pictures_needed`.
        """
        files.write_samples(self.path, "samples.npz", ids, thumbnails)

    def samples(self) -> dict[str, ByteArray]:
        """The small pictures (H, W, C) uint8 by id; empty if none were stored.

        Raises:
            RunError: if the file was not written whole.
        """
        return files.read_samples(self.path, "samples.npz")

    # -- model --------------------------------------------------------------------------------

    def write_model(
        self, architecture_yaml: str, parameters: Mapping[str, Array], model: Mapping[str, Any]
    ) -> None:
        """Write all of ``model/``."""
        self.write_architecture(architecture_yaml, model)
        self.write_parameters(parameters)

    def write_architecture(self, architecture_yaml: str, model: Mapping[str, Any]) -> None:
        """Write what is known before training: the architecture, and ``model.json`` (classes per
        head, preprocessing, whatever else predicting needs).
        """
        disk.write_text(self.architecture_file, architecture_yaml)
        files.write_json(self.path, "model/model.json", model)

    def write_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Write ``model/weights.safetensors``: all that was learnt."""
        files.write_arrays(self.path, "model/weights.safetensors", parameters)

    def keep_frozen(self, file: Path) -> None:
        """Make ``model/frozen.safetensors`` of a safetensors file: a hard link to it, so that many
        runs on one backbone take its room once, or a copy where the disk has no links.
        """
        disk.write(self.path / "model" / "frozen.safetensors", lambda to: _link(file, to))

    def parameters(self) -> dict[str, Array]:
        """The kept parameters, those of the best epoch, and those that never changed."""
        frozen = "model/frozen.safetensors"
        still = files.read_arrays(self.path, frozen) if (self.path / frozen).exists() else {}
        return still | files.read_arrays(self.path, "model/weights.safetensors")

    def architecture(self) -> Architecture:
        """The network that ``architecture.yaml`` describes.

        Raises:
            RunError: if the file is missing.
            ArchitectureError: if it does not describe a network.
        """
        if not self.architecture_file.exists():
            raise files.missing(self.path, "model/architecture.yaml")
        return read_architecture(self.architecture_file)

    def model(self) -> dict[str, Any]:
        """What ``model.json`` says."""
        content = files.read_json(self.path, "model/model.json")
        assert isinstance(content, dict)
        return content

    def write_calibration(self, calibration: Mapping[str, Any]) -> None:
        """Write ``model/calibration.json``: the temperature of each head."""
        files.write_json(self.path, "model/calibration.json", calibration)

    def calibration(self) -> object:
        """What ``calibration.json`` says, ``None`` where nothing was chosen yet.

        :func:`convoscope.runs.calibration.calibration_of` reads its meaning.
        """
        name = "model/calibration.json"
        return files.read_json(self.path, name) if (self.path / name).exists() else None

    # -- checkpoint ---------------------------------------------------------------------------

    def write_checkpoint(
        self,
        state: Mapping[str, Array],
        progress: Mapping[str, Any],
        best: Mapping[str, Array] | None = None,
    ) -> None:
        """Write the learner's state and, where they are new, the best parameters; then
        ``progress``, whose ``epoch`` and ``best_epoch`` name the two.

        The older files go last: a process killed at any moment leaves one whole set.
        """
        kept = {f"state-{progress['epoch']}.safetensors": state}
        if best is not None:
            kept[f"best-{progress['best_epoch']}.safetensors"] = best
        for name, arrays in kept.items():
            files.write_arrays(self.path, f"checkpoint/{name}", arrays)
        files.write_json(self.path, "checkpoint/progress.json", progress)
        current = {*kept, f"best-{progress['best_epoch']}.safetensors"}
        for file in (self.path / "checkpoint").glob("*.safetensors*"):
            if file.name not in current:
                file.unlink()

    def checkpoint(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """The last state and its progress, or ``None`` before the first epoch ended."""
        if not (self.path / "checkpoint" / "progress.json").exists():
            return None
        progress = files.read_json(self.path, "checkpoint/progress.json")
        assert isinstance(progress, dict)
        return files.read_arrays(
            self.path, f"checkpoint/state-{progress['epoch']}.safetensors"
        ), progress

    def drop_checkpoint(self) -> None:
        """Remove what only going on would need."""
        with disk.storing(self.path):
            shutil.rmtree(self.path / "checkpoint", ignore_errors=True)

    def best(self, epoch: int) -> dict[str, Array]:
        """The best parameters of the checkpoint, those of that epoch."""
        return files.read_arrays(self.path, f"checkpoint/best-{epoch}.safetensors")


def _link(file: Path, to: Path) -> None:
    try:
        to.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, to)


def find_runs(folder: str | Path = "runs") -> list[Run]:
    """The runs right below ``folder``, by name; empty if there is no such folder."""
    inside = Path(folder)
    if not inside.is_dir():
        return []
    return [Run(path) for path in sorted(inside.iterdir()) if (path / "run.json").exists()]


def open_run(path: Run | str | Path) -> Run:
    """The run in that folder, checked to be one; one that is open already is given back.

    Raises:
        RunError: if the folder is missing, is no run, or was written by a newer version.
    """
    if isinstance(path, Run):
        return path
    run = Run(Path(path))
    run.record()
    return run


def size_on_disk(run: Run) -> int:
    """The bytes that deleting the run's folder would free; a file that is deleted meanwhile counts
    0, and so does one that others hold too: what a pretrained network keeps as it was.
    """
    total = 0
    for file in run.path.rglob("*"):
        with suppress(OSError):
            found = file.stat()
            total += found.st_size if file.is_file() and found.st_nlink == 1 else 0
    return total


def check_removable(run: Run) -> None:
    """Refuse a folder that is not ours to delete; half a run may go.

    Raises:
        RunError: if the folder holds no ``run.json``, or a process is writing it.
    """
    if not (run.path / "run.json").is_file():
        raise files.missing(run.path, "run.json")
    lock.check_free(run.path)


def remove_run(run: Run) -> None:
    """Delete the run's folder and all in it.

    Raises:
        RunError: if the folder holds no ``run.json``: it is not ours to delete; or a process is
            writing it.
        StorageError: if it cannot be deleted.
    """
    check_removable(run)
    with disk.storing(run.path):
        shutil.rmtree(run.path)

"""A run folder: the only place that knows its file names.

::

    run.json            what was asked, versions, data, status
    split.csv           file, label per head, split, hash
    history.jsonl       one line per epoch
    predictions/        <split>.npz: ids, labels and logits per head
    model/              architecture.yaml, weights.safetensors, model.json
    checkpoint/         state-<epoch>.safetensors, best-<epoch>.safetensors, progress.json
    samples.npz         small pictures of the images that the report shows
    report.html
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from convoscope import disk
from convoscope.arrays import Array, ByteArray
from convoscope.errors import RunError
from convoscope.metrics.predictions import HeadPredictions, Predictions
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
    def architecture_file(self) -> Path:
        """``model/architecture.yaml``."""
        return self.path / "model" / "architecture.yaml"

    # -- the record ---------------------------------------------------------------------------

    def record(self) -> RunRecord:
        """What ``run.json`` says.

        Raises:
            RunError: if the folder is missing, is no run, or was written by a newer version.
        """
        return record_from_json(self._json("run.json"))

    def write_record(self, record: RunRecord) -> None:
        """Replace ``run.json``."""
        self._write_json("run.json", record.to_json())

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
        """The epochs so far, oldest first; empty before the first one ends."""
        file = self.path / "history.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    # -- predictions --------------------------------------------------------------------------

    def splits(self) -> tuple[str, ...]:
        """The splits whose predictions are saved, in the order train, validation, test, others."""
        order = {"train": 0, "validation": 1, "test": 2}
        names = [file.stem for file in (self.path / "predictions").glob("*.npz")]
        return tuple(sorted(names, key=lambda name: (order.get(name, 3), name)))

    def write_predictions(self, predictions: Predictions) -> None:
        """Write ``predictions/<split>.npz``."""
        heads = [
            {"name": name, "classes": head.class_names, "output": head.output}
            for name, head in predictions.heads.items()
        ]
        arrays: dict[str, Array] = {
            "ids": np.array(predictions.ids, dtype=np.str_),
            "heads": np.array(json.dumps(heads)),
        }
        for name, head in predictions.heads.items():
            arrays[f"labels/{name}"] = head.labels
            arrays[f"logits/{name}"] = head.logits
        file = self.path / "predictions" / f"{predictions.split}.npz"
        disk.write(file, lambda temporary: _save_npz(temporary, arrays))

    def predictions(self, split: str) -> Predictions:
        """What the network said of that split.

        Raises:
            RunError: if these predictions were never saved, or not whole.
        """
        file = self.path / "predictions" / f"{split}.npz"
        if not file.exists():
            raise RunError(
                f"{self.path}: there are no predictions for {split!r}, only for "
                f"{', '.join(self.splits()) or 'no split'}: finish the run with  "
                f"convoscope train --resume {self.path}"
            )
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return Predictions(
                    split=split,
                    ids=tuple(arrays["ids"].tolist()),
                    heads={
                        head["name"]: HeadPredictions(
                            class_names=tuple(head["classes"]),
                            labels=arrays[f"labels/{head['name']}"],
                            logits=arrays[f"logits/{head['name']}"],
                            output=head["output"],
                        )
                        for head in json.loads(str(arrays["heads"]))
                    },
                )
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise RunError(
                f"{file}: these predictions cannot be read ({error}): delete the file and make it "
                f"again with  convoscope evaluate {self.path}"
            ) from error

    # -- samples ------------------------------------------------------------------------------

    def write_samples(self, ids: Sequence[str], thumbnails: ByteArray) -> None:
        """Write ``samples.npz``: a small picture (H, W, C) for each id, as (M, H, W, C) uint8.

        Which ids a report needs says :func:`convoscope.metrics.mistakes.pictures_needed`.
        """
        arrays = {"ids": np.array(list(ids), dtype=np.str_), "thumbnails": thumbnails}
        disk.write(self.path / "samples.npz", lambda temporary: _save_npz(temporary, arrays))

    def samples(self) -> dict[str, ByteArray]:
        """The small pictures (H, W, C) uint8 by id; empty if none were stored.

        Raises:
            RunError: if the file was not written whole.
        """
        file = self.path / "samples.npz"
        if not file.exists():
            return {}
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return dict(zip(arrays["ids"].tolist(), arrays["thumbnails"], strict=True))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise RunError(
                f"{file}: these pictures cannot be read ({error}): delete the file, the report "
                "then does without them"
            ) from error

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
        self._write_json("model/model.json", model)

    def write_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Write ``model/weights.safetensors``."""
        self._write_arrays("model/weights.safetensors", parameters)

    def parameters(self) -> dict[str, Array]:
        """The kept parameters, those of the best epoch."""
        return self._arrays("model/weights.safetensors")

    def model(self) -> dict[str, Any]:
        """What ``model.json`` says."""
        content = self._json("model/model.json")
        assert isinstance(content, dict)
        return content

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
            self._write_arrays(f"checkpoint/{name}", arrays)
        self._write_json("checkpoint/progress.json", progress)
        current = {*kept, f"best-{progress['best_epoch']}.safetensors"}
        for file in (self.path / "checkpoint").glob("*.safetensors*"):
            if file.name not in current:
                file.unlink()

    def checkpoint(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """The last state and its progress, or ``None`` before the first epoch ended."""
        if not (self.path / "checkpoint" / "progress.json").exists():
            return None
        progress = self._json("checkpoint/progress.json")
        assert isinstance(progress, dict)
        return self._arrays(f"checkpoint/state-{progress['epoch']}.safetensors"), progress

    def best(self, epoch: int) -> dict[str, Array]:
        """The best parameters of the checkpoint, those of that epoch."""
        return self._arrays(f"checkpoint/best-{epoch}.safetensors")

    # -- files --------------------------------------------------------------------------------

    def _json(self, name: str) -> object:
        file = self.path / name
        if not file.exists():
            raise RunError(_missing(self.path, name))
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(
                f"{file}: must be JSON, reading it gave {error}: the run was not written whole; "
                "delete the folder or train again with --out elsewhere"
            ) from error

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        disk.write_text(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def _arrays(self, name: str) -> dict[str, Array]:
        file = self.path / name
        if not file.exists():
            raise RunError(_missing(self.path, name))
        try:
            return load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise RunError(
                f"{file}: these weights cannot be read ({error}): the file was cut short; "
                f"go on from the last epoch with  convoscope train --resume {self.path}"
            ) from error

    def _write_arrays(self, name: str, arrays: Mapping[str, Array]) -> None:
        whole = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        disk.write(self.path / name, lambda temporary: _save_arrays(temporary, whole))


def find_runs(folder: Path) -> list[Run]:
    """The runs right below ``folder``, by name; empty if there is no such folder."""
    if not folder.is_dir():
        return []
    return [Run(path) for path in sorted(folder.iterdir()) if (path / "run.json").exists()]


def open_run(path: str | Path) -> Run:
    """The run in that folder, checked to be one.

    Raises:
        RunError: if the folder is missing, is no run, or was written by a newer version.
    """
    run = Run(Path(path))
    run.record()
    return run


def remove_run(run: Run) -> None:
    """Delete the run's folder and all in it.

    Raises:
        RunError: if the folder holds no ``run.json``: it is not ours to delete.
        StorageError: if it cannot be deleted.
    """
    if not (run.path / "run.json").is_file():
        raise RunError(_missing(run.path, "run.json"))
    with disk.storing(run.path):
        shutil.rmtree(run.path)


def _missing(path: Path, name: str) -> str:
    if not path.exists():
        return f"{path}: there is no such run folder: see  convoscope runs list"
    if not (path / "run.json").exists():
        return f"{path}: a run folder must hold run.json, this one does not: name another folder"
    return (
        f"{path}: {name} is missing, the run was not finished: "
        f"go on with  convoscope train --resume {path}"
    )


def _save_npz(file: Path, arrays: Mapping[str, Array]) -> None:
    with file.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _save_arrays(file: Path, arrays: Mapping[str, Array]) -> None:
    """Save as safetensors; its library reports a full disk as text, which becomes an OSError."""
    try:
        save_file(dict(arrays), file)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(file)) from error

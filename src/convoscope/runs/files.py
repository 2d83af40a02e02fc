"""The files of a run folder: JSON, arrays, predictions; read whole, or refused in a sentence.

Every reader is given the run's folder and the file's name in it, so that its errors can say what
to do about that run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from convoscope import disk
from convoscope.arrays import Array, ByteArray
from convoscope.errors import RunError
from convoscope.metrics.predictions import HeadPredictions, Predictions


def read_json(run: Path, name: str) -> object:
    """The decoded content of a JSON file.

    Raises:
        RunError: if the file is missing or cut short.
    """
    file = run / name
    if not file.is_file():
        raise missing(run, name)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(
            f"{file}: must be JSON, reading it gave {error}: the run was not written whole; "
            "delete the folder or train again with --out elsewhere"
        ) from error


def write_json(run: Path, name: str, content: Mapping[str, Any]) -> None:
    """Write an object as JSON."""
    disk.write_text(run / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_lines(run: Path, name: str) -> list[dict[str, Any]]:
    """The object on each line of a file; none if there is no such file.

    Raises:
        RunError: if a line is cut short.
    """
    file = run / name
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    objects = []
    for number, line in enumerate(lines, start=1):
        try:
            objects.append(json.loads(line))
        except ValueError as error:
            raise RunError(
                f"{file}: line {number} must be JSON, reading it gave {error}: the run was not "
                f"written whole; go on with  convoscope train --resume {run}"
            ) from error
    return objects


def read_arrays(run: Path, name: str) -> dict[str, Array]:
    """The arrays of a safetensors file.

    Raises:
        RunError: if the file is missing or cut short.
    """
    file = run / name
    if not file.is_file():
        raise missing(run, name)
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"{file}: must be a safetensors file, reading it gave {error}: the file was cut short; "
            f"go on with  convoscope train --resume {run} , or train a finished run again"
        ) from error


def write_arrays(run: Path, name: str, arrays: Mapping[str, Array]) -> None:
    """Write arrays as safetensors."""
    # Not ascontiguousarray: it makes a one-cell vector of a scalar.
    whole = {key: np.asarray(array, order="C") for key, array in arrays.items()}
    disk.write(run / name, lambda temporary: _save_arrays(temporary, whole))


def write_predictions(run: Path, name: str, predictions: Predictions) -> None:
    """Write predictions as ``.npz``: the ids, the groups where there are some, and per head its
    classes, labels and logits.
    """
    heads = [
        {
            "name": head,
            "classes": said.class_names,
            "output": said.output,
            "threshold": said.threshold,
        }
        for head, said in predictions.heads.items()
    ]
    arrays: dict[str, Array] = {
        "ids": np.array(predictions.ids, dtype=np.str_),
        "heads": np.array(json.dumps(heads)),
    }
    if predictions.groups is not None:
        arrays["groups"] = np.array(predictions.groups, dtype=np.str_)
    for head, said in predictions.heads.items():
        arrays[f"labels/{head}"] = said.labels
        arrays[f"logits/{head}"] = said.logits
    disk.write(run / name, lambda temporary: _save_npz(temporary, arrays))


def read_predictions(run: Path, name: str, split: str) -> Predictions:
    """The predictions of a file that :func:`write_predictions` wrote.

    Raises:
        RunError: if the file is cut short.
    """
    file = run / name
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return Predictions(
                split=split,
                ids=tuple(arrays["ids"].tolist()),
                heads={
                    head["name"]: HeadPredictions(
                        class_names=tuple(head["classes"]),
                        labels=arrays[f"labels/{head['name']}"],
                        logits=arrays[f"logits/{head['name']}"],
                        output=head["output"],
                        threshold=head.get("threshold", 0.5),
                    )
                    for head in json.loads(str(arrays["heads"]))
                },
                groups=tuple(arrays["groups"].tolist()) if "groups" in arrays else None,
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise RunError(
            f"{file}: must hold saved predictions, reading it gave {error}: delete the file and "
            f"make it again with  convoscope evaluate {run}"
        ) from error


def write_samples(run: Path, name: str, ids: Sequence[str], thumbnails: ByteArray) -> None:
    """Write small pictures (M, H, W, C) uint8 and their ids as ``.npz``."""
    arrays = {"ids": np.array(list(ids), dtype=np.str_), "thumbnails": thumbnails}
    disk.write(run / name, lambda temporary: _save_npz(temporary, arrays))


def read_samples(run: Path, name: str) -> dict[str, ByteArray]:
    """The pictures (H, W, C) uint8 by id; empty if there is no such file.

    Raises:
        RunError: if the file is cut short.
    """
    file = run / name
    if not file.exists():
        return {}
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(zip(arrays["ids"].tolist(), arrays["thumbnails"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise RunError(
            f"{file}: must hold small pictures, reading it gave {error}: delete the file, the "
            "report then does without them"
        ) from error


def missing(run: Path, name: str) -> RunError:
    """The error for a file of a run that is not there."""
    if not run.exists():
        return RunError(f"{run}: there is no such run folder: see  convoscope runs list")
    if not (run / "run.json").exists():
        return RunError(
            f"{run}: a run folder must hold run.json, this one does not: name another folder"
        )
    if _is_finished(run):
        return RunError(
            f"{run}: {name} is missing from a run that was finished with it: put it back, or train "
            "again with --out elsewhere"
        )
    return RunError(
        f"{run}: {name} is missing, the run was not finished: "
        f"go on with  convoscope train --resume {run}"
    )


def _is_finished(run: Path) -> bool:
    with suppress(OSError, ValueError):
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        return isinstance(record, dict) and record.get("status") == "finished"
    return False


def _save_npz(file: Path, arrays: Mapping[str, Array]) -> None:
    """As ``numpy.savez_compressed``, at its quickest: smooth pictures take a third of the time, and
    5 % more room.
    """
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def _save_arrays(file: Path, arrays: Mapping[str, Array]) -> None:
    """Save as safetensors; its library reports a full disk as text, which becomes an OSError."""
    try:
        save_file(dict(arrays), file)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(file)) from error

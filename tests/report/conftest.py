"""Real runs to report on: small classifiers that learn scikit-learn's digits epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from convoscope.architecture.files import to_yaml
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Dense, Flatten
from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.metrics.mistakes import pictures_needed
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.pictures.thumbnails import shrink
from convoscope.runs.record import RunRecord
from convoscope.runs.store import Run

DIGIT_NAMES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class Task:
    """What a run of the fixtures is about; labels (1797,) come from a digit's value."""

    heads: Mapping[str, tuple[tuple[str, ...], Callable[[IntArray], IntArray]]]
    epochs: int = 12
    notes: tuple[str, ...] = ()
    status: str = "finished"


def write_run(path: Path, task: Task) -> Run:
    """Train a linear classifier per head on the digits, for real, and keep what it said."""
    digits = load_digits()
    pixels, values = digits.data / 16.0, digits.target.astype(np.int64)
    order = generator(3, "split").permutation(len(values))
    cuts = {"train": order[:900], "validation": order[900:1100], "test": order[1100:1400]}
    run = Run(path)
    heads: dict[str, dict[str, HeadPredictions]] = {split: {} for split in cuts}
    history: list[dict[str, Any]] = []
    for name, (class_names, labelled) in task.heads.items():
        labels = labelled(values)
        logits, history = _learn(pixels, labels, cuts, task.epochs, len(class_names))
        for split, rows in cuts.items():
            heads[split][name] = HeadPredictions(
                class_names=class_names, labels=labels[rows], logits=logits[rows]
            )
    _write(run, task, history)
    every = []
    for split, rows in cuts.items():
        ids = tuple(f"digits/{row:04d}" for row in rows)
        predictions = Predictions(split=split, ids=ids, heads=heads[split])
        run.write_predictions(predictions)
        every.append(predictions)
    wanted = pictures_needed(every)
    images = np.repeat((digits.images * 255 / 16).astype(np.uint8)[..., None], 1, axis=3)
    run.write_samples(wanted, shrink(images[[int(id_.split("/")[1]) for id_ in wanted]]))
    return run


def _learn(
    pixels: Array, labels: IntArray, cuts: Mapping[str, IntArray], epochs: int, classes: int
) -> tuple[FloatArray, list[dict[str, Any]]]:
    """Logits (1797, K) of a linear classifier, and its real history."""
    model = SGDClassifier(loss="log_loss", alpha=0.01, random_state=0)
    every, history = np.arange(classes), []
    train, validation = cuts["train"], cuts["validation"]
    for epoch in range(1, epochs + 1):
        model.partial_fit(pixels[train], labels[train], every)
        scores = {}
        for split, rows in (("train", train), ("validation", validation)):
            said = model.predict_proba(pixels[rows])
            scores[f"{split}_loss"] = float(log_loss(labels[rows], said, labels=every))
            scores[f"{split}_accuracy"] = float((said.argmax(1) == labels[rows]).mean())
        history.append({"epoch": epoch, "learning_rate": 0.01, "seconds": 0.1, **scores})
    logits = np.log(np.clip(model.predict_proba(pixels), 1e-9, 1)).astype(np.float32)
    return logits, history


def _write(run: Run, task: Task, history: Sequence[Mapping[str, Any]]) -> None:
    best = min(history, key=lambda epoch: float(epoch["validation_loss"]))
    run.write_record(
        RunRecord(
            kind="train",
            settings={"data": "digits", "model": "linear", "epochs": task.epochs, "seed": 0},
            command=("convoscope", "train", "digits", "--model", "linear", "--note", "it's"),
            seed=0,
            started="2026-11-21T10:00:00+00:00",
            status=task.status,  # type: ignore[arg-type]
            data={"name": "digits", "root": None, "fingerprint": "0f3a"},
            versions={"python": "3.11", "convoscope": "0.1.0"},
            machine={"system": "Linux", "cores": 2, "memory_bytes": 8 * 1024**3},
            seconds=3.4,
            epochs=task.epochs,
            best_epoch=int(best["epoch"]),
            stop_reason="epochs",
            notes=task.notes,
        )
    )
    run.write_history(history)
    names = {name: list(classes) for name, (classes, _) in task.heads.items()}
    architecture = Architecture(
        name="linear",
        input_shape=(1, 8, 8),
        layers=(Flatten("flatten"),),
        heads=tuple(
            Head(name=name, layers=(Dense(f"{name}_logits", len(classes)),))
            for name, classes in names.items()
        ),
    )
    run.write_model(
        to_yaml(architecture),
        {},
        {
            "class_names": names,
            "outputs": dict.fromkeys(names, "softmax"),
            "preprocessing": {
                "size": [8, 8],
                "resize": "squash",
                "order": "gray",
                "mean": [0.0],
                "sd": [1.0],
            },
            "engine": "numpy",
            "architecture_name": architecture.name,
        },
    )


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ten classes, one head."""
    task = Task(heads={"class": (DIGIT_NAMES, lambda values: values)})
    return write_run(tmp_path_factory.mktemp("runs") / "digits-linear-1", task)

"""A new head on frozen VGG19: ours beside Keras as it is often written and at its best, and a pass.

    python benchmarks/transfer.py [--images 150 30 60] [--epochs 25] [--threads 2] [--steps 3]

Row 5c: VGG19 - global max pool - dense 512, dropout 0.5 - dense 3; batch 32, 25 epochs over 150
images, with 30 for validation and 60 for testing. Four ways in one run, all on the same pictures:

- one pass: PyTorch alone, channels-last, the trunk over all images once; what the machine can do;
- ours: ``convoscope.train`` from files to a tested run, with an empty cache;
- Keras, features once: ``predict`` of the trunk over all images, then the head's ``fit``;
- Keras, trunk in every epoch: as the sources wrote it. Its seconds are those of a few steps and a
  few validation batches, times how many there are: marked "extrapolated".

Keras is given decoded arrays, so that the time of its decoding is not counted; ours is. Its
backend is PyTorch, or TensorFlow with ``--backend tensorflow``. Real weights are taken where they
are at hand (``convoscope weights list``), else random ones; no time depends on it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convoscope.arrays import Array, FloatArray, generator

SIDE, CLASSES = 224, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Decoded images (N, 224, 224, 3) uint8 per split, and the folder of the same as files."""

    folder: Path
    train: Array
    validation: Array
    test: Array

    @property
    def every(self) -> Array:
        """All of them, split after split."""
        return np.concatenate([self.train, self.validation, self.test])


def main() -> None:
    """Print the table."""
    asked = _arguments()
    os.environ["KERAS_BACKEND"] = asked.backend
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        _give_weights(where / "cache")
        os.environ["CONVOSCOPE_CACHE"] = str(where / "cache")
        import torch

        torch.set_num_threads(asked.threads)
        pictures = _draw(where / "pictures", asked.images)
        print(
            f"{asked.threads} threads, PyTorch {torch.__version__}, Keras on {asked.backend}; "
            f"{'/'.join(map(str, asked.images))} images, {asked.epochs} epochs"
        )
        rows = [
            ("one pass, PyTorch alone", _timed(lambda: _bare_pass(pictures.every)), ""),
            ("ours, from files to a run", _timed(lambda: _ours(pictures, where, asked.epochs)), ""),
            ("Keras, features once", _timed(lambda: _keras_once(pictures, asked.epochs)), ""),
            (
                "Keras, trunk every epoch",
                _keras_as_written(pictures, asked.epochs, asked.steps),
                f"extrapolated from {asked.steps} steps",
            ),
        ]
    _print(rows)


def _print(rows: Sequence[tuple[str, float, str]]) -> None:
    bare, ours = rows[0][1], rows[1][1]
    print(f"{'':<28}{'seconds':>9}{'of one pass':>13}{'of ours':>9}")
    for name, seconds, note in rows:
        print(f"{name:<28}{seconds:>9.1f}{seconds / bare:>13.2f}{seconds / ours:>9.2f}  {note}")


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# -- the pictures and the weights -----------------------------------------------------------------


def _draw(folder: Path, images: Sequence[int]) -> Pictures:
    """Noise with a stripe that says the class, as files and as arrays."""
    from PIL import Image

    arrays = []
    for split, count in zip(("train", "val", "test"), images, strict=True):
        pixels = generator(0, split).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)
        for number, picture in enumerate(pixels):
            label = number % CLASSES
            picture[60 * label + 20 : 60 * label + 50] = 255
            file = folder / split / f"class{label}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file)
        arrays.append(pixels)
    return Pictures(folder=folder, train=arrays[0], validation=arrays[1], test=arrays[2])


def _labels(images: Array) -> Array:
    return np.arange(len(images)) % CLASSES


def _give_weights(cache: Path) -> None:
    """Weights for VGG19 in a fresh cache: those at hand, or random ones."""
    from convoscope import engines
    from convoscope.architecture.zoo import make
    from convoscope.data.preprocessing import Preprocessing
    from convoscope.transfer.store import Provenance, Stored, find, keep

    found = find("vgg19")
    os.environ["CONVOSCOPE_CACHE"] = str(cache)
    if found is not None:
        (cache / "weights").mkdir(parents=True)
        (cache / "weights" / "vgg19").symlink_to(found.folder)
        return
    architecture = make("vgg19")
    stored = Stored(
        name="vgg19",
        source="zoo/vgg19",
        input_shape=(3, SIDE, SIDE),
        preprocessing=Preprocessing(size=(SIDE, SIDE)),
        classes=1000,
        parameters=143_667_240,
        licence="none",
        origin=Provenance(place="random", format="none", sha256="0" * 64),
    )
    keep(stored, architecture, engines.build(architecture, engine="numpy").parameters())


# -- four ways ------------------------------------------------------------------------------------


def _bare_pass(images: Array) -> None:
    """The trunk in plain PyTorch, channels innermost, 16 images at a time."""
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    channels = 3
    for filters, convolutions in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    trunk = nn.Sequential(*layers).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        for start in range(0, len(images), 16):
            batch = torch.from_numpy(images[start : start + 16]).permute(0, 3, 1, 2)
            trunk(batch.float().div_(255))


def _ours(pictures: Pictures, where: Path, epochs: int) -> None:
    import convoscope

    out = where / "run"
    shutil.rmtree(out, ignore_errors=True)
    convoscope.train(
        pictures.folder,
        backbone="vgg19",
        head="max-512",
        batch=32,
        epochs=epochs,
        patience=0,
        allow_leak=True,
        out=out,
    )


def _keras_once(pictures: Pictures, epochs: int) -> None:
    """What a careful person writes: the trunk once, then the head on its features."""
    base = _keras_trunk()
    train, validation, test = (
        base.predict(_keras_input(images), batch_size=16, verbose=0)
        for images in (pictures.train, pictures.validation, pictures.test)
    )
    head = _compiled([*_keras_head()])
    head.fit(
        train,
        _labels(pictures.train),
        batch_size=32,
        epochs=epochs,
        validation_data=(validation, _labels(pictures.validation)),
        verbose=0,
    )
    head.evaluate(test, _labels(pictures.test), verbose=0)


def _keras_as_written(pictures: Pictures, epochs: int, steps: int) -> float:
    """Seconds of ``fit`` with the frozen trunk inside the model, from a few steps of it."""
    model = _compiled([_keras_trunk(), *_keras_head()])
    batch = _keras_input(pictures.train[:32])
    labels = _labels(batch)
    model.train_on_batch(batch, labels)
    learning = _timed(lambda: [model.train_on_batch(batch, labels) for _ in range(steps)])
    testing = _timed(lambda: [model.test_on_batch(batch, labels) for _ in range(steps)])
    learning, testing = learning / (steps * len(batch)), testing / (steps * len(batch))
    seconds = epochs * (len(pictures.train) * learning + len(pictures.validation) * testing)
    return seconds + len(pictures.test) * testing


def _keras_trunk() -> Any:
    from keras.applications import VGG19

    base = VGG19(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    base.trainable = False
    return base


def _keras_head() -> list[Any]:
    from keras import layers

    return [
        layers.GlobalMaxPooling2D(),
        layers.Dense(512, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(CLASSES, activation="softmax"),
    ]


def _compiled(layers: list[Any]) -> Any:
    import keras

    model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.Adam(0.001),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _keras_input(images: Array) -> FloatArray:
    from keras.applications.vgg19 import preprocess_input

    prepared: FloatArray = preprocess_input(images.astype(np.float32))
    return prepared


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A new head on frozen VGG19, four ways.")
    parser.add_argument(
        "--images", nargs=3, type=int, default=(150, 30, 60), metavar=("TRAIN", "VAL", "TEST")
    )
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--backend", choices=("torch", "tensorflow"), default="torch")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Keras' own answers, from a process of its own: Keras chooses its backend when it is imported.

``python keras_oracle.py FOLDER [SHARED_WEIGHTS]`` writes into FOLDER the weight files that Keras
saves of a VGG16 and a MobileNetV2 with random weights, and ``answers.npz``: what each network
answers to the images ``<name>_images`` (N, H, W, 3) that are saved beside it.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"
warnings.filterwarnings("ignore")

import keras  # noqa: E402
import numpy as np  # noqa: E402

RNG = np.random.default_rng(0)
ANSWERS: dict[str, Any] = {}


def answer(name: str, model: Any, side: int, images: int = 2) -> None:
    """Keep what the model says to random images between -1 and 1."""
    shown = RNG.uniform(-1, 1, (images, side, side, 3)).astype(np.float32)
    ANSWERS[f"{name}_images"] = shown
    ANSWERS[name] = np.asarray(model.predict(shown, verbose=0))


def shaken(model: Any) -> Any:
    """The model with every norm and bias off its first value, so that none can be mistaken."""
    for layer in model.layers:
        values = [
            value + 0.2 * np.abs(RNG.standard_normal(value.shape)) if value.ndim == 1 else value
            for value in layer.get_weights()
        ]
        layer.set_weights(values)
    return model


def random_networks(folder: Path) -> None:
    """VGG16 with a small input, and MobileNetV2, in every format that Keras saves."""
    options: dict[str, Any] = {"weights": None, "classifier_activation": None}
    vgg = keras.applications.VGG16(input_shape=(64, 64, 3), classes=10, **options)
    answer("vgg16", shaken(vgg), 64)
    vgg.save(folder / "vgg16.h5")
    mobile = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=0.35, classes=7, **options
    )
    answer("mobilenet", shaken(mobile), 96)
    mobile.save(folder / "mobilenet.h5")
    mobile.save(folder / "mobilenet.keras")
    mobile.save_weights(folder / "mobilenet.weights.h5")


def real_networks(weights: Path) -> None:
    """The MobileNetV2 trunks at hand: one that Keras loads, one whose arrays it is given."""
    trunk: dict[str, Any] = {"alpha": 0.35, "include_top": False, "input_shape": (224, 224, 3)}
    file = weights / "mobilenetv2_035_notop_keras.weights.h5"
    answer("notop", keras.applications.MobileNetV2(weights=str(file), **trunk), 224)
    model = keras.applications.MobileNetV2(weights=None, pooling="avg", **trunk)
    arrays = teachable_arrays(weights / "mobilenetv2_035_teachable_machine")
    for layer in model.layers:
        layer.set_weights([arrays[f"{layer.name}/{v.name}"] for v in layer.weights])
    answer("teachable_features", model, 224)
    pooled = ANSWERS["teachable_features"]
    hidden = np.maximum(pooled @ arrays["dense_Dense3/kernel"] + arrays["dense_Dense3/bias"], 0)
    ANSWERS["teachable"] = hidden @ arrays["dense_Dense4/kernel"]


def teachable_arrays(folder: Path) -> dict[str, Any]:
    """The arrays of an unquantised layers model in one shard; Keras 3 says only "kernel"."""
    content = np.fromfile(folder / "weights.bin", "<f4")
    arrays, start = {}, 0
    for entry in json.loads((folder / "model.json").read_text())["weightsManifest"][0]["weights"]:
        count = int(np.prod(entry["shape"]))
        name = entry["name"].replace("depthwise_kernel", "kernel")
        arrays[name] = content[start : start + count].reshape(entry["shape"])
        start += count
    return arrays


if __name__ == "__main__":
    target = Path(sys.argv[1])
    random_networks(target)
    for shared in sys.argv[2:]:
        real_networks(Path(shared))
    np.savez(target / "answers.npz", **ANSWERS)

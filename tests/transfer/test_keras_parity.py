"""Networks with Keras' weights answer as Keras does, to single precision."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import SHARED

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head, without_top
from convoscope.architecture.layers import Dense, GlobalAvgPool
from convoscope.arrays import Array, FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.network import Engine
from convoscope.transfer.foreign import fitted, parameters_for
from convoscope.transfer.readers import read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
WEIGHTS = SHARED / "weights"


@pytest.fixture(scope="module")
def keras_says(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which Keras, in a process of its own, has left its files and its answers."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    folder = tmp_path_factory.mktemp("keras")
    script = Path(__file__).with_name("keras_oracle.py")
    given = [str(WEIGHTS)] if WEIGHTS.exists() else []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "torch"}
    subprocess.run(
        [sys.executable, str(script), str(folder), *given],
        check=True,
        env=environment,
        capture_output=True,
    )
    return folder


def answers(folder: Path, name: str, shown: str = "") -> tuple[FloatArray, FloatArray]:
    """The images, (N, 3, H, W) in [0, 1] for who makes them -1 to 1, and Keras' answer."""
    with np.load(folder / "answers.npz") as said:
        if name not in said:
            pytest.skip(f"the shared weights are not at {WEIGHTS}: set CONVOSCOPE_SHARED")
        images = said[f"{shown or name}_images"]
        return (images.transpose(0, 3, 1, 2) + 1) / 2, said[name]


def signed(architecture: Architecture) -> Preprocessing:
    _, height, width = architecture.input_shape
    return Preprocessing(size=(height, width), mean=(0.5,), sd=(0.5,))


def logits(
    architecture: Architecture, parameters: dict[str, Array], images: FloatArray, engine: Engine
) -> FloatArray:
    network = engines.build(
        architecture,
        preprocessing=signed(architecture),
        engine=engine,
        parameters=parameters,
        device="cpu",
    )
    found: FloatArray = network.logits(images)["class"]
    return found


def close(found: FloatArray, expected: FloatArray) -> None:
    """Assert agreement to 1e-5 of the largest value."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * float(np.abs(expected).max()))


def test_vgg16_from_a_whole_model_that_keras_saved(keras_says: Path) -> None:
    net = fitted("vgg16", read(keras_says / "vgg16.h5"), input_shape=(3, 64, 64))
    assert (net.origin, net.architecture.heads[0].layers[-1]) == (
        "keras",
        Dense("predictions", 10, initialisation="xavier"),
    )
    images, expected = answers(keras_says, "vgg16")
    close(logits(net.architecture, dict(net.parameters), images, "torch"), expected)


@pytest.mark.parametrize("file", ["mobilenet.h5", "mobilenet.keras", "mobilenet.weights.h5"])
def test_mobilenet_in_every_format_that_keras_saves(keras_says: Path, file: str) -> None:
    net = fitted("mobilenet_v2", read(keras_says / file), input_shape=(3, 96, 96))
    images, expected = answers(keras_says, "mobilenet")
    close(logits(net.architecture, dict(net.parameters), images, "torch"), expected)
    if file == "mobilenet.h5":
        close(logits(net.architecture, dict(net.parameters), images, "numpy"), expected)


def test_files_that_number_their_layers_are_read_alike(keras_says: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    named, file = keras_says / "mobilenet.weights.h5", tmp_path / "numbered.weights.h5"
    file.write_bytes(named.read_bytes())
    with h5py.File(file, "a") as stream:  # as Keras wrote them before 3.7
        entries: list[str] = []
        stream.visit(entries.append)
        for entry in entries:
            stream[entry].attrs.pop("name", None)
    net = fitted("mobilenet_v2", read(file), input_shape=(3, 96, 96))
    assert net.origin == "keras (numbered)"
    expected = fitted("mobilenet_v2", read(named), input_shape=(3, 96, 96)).parameters
    assert net.parameters.keys() == expected.keys()
    for name, array in net.parameters.items():
        np.testing.assert_array_equal(array, expected[name])


def test_the_mobilenet_trunk_at_hand_gives_keras_features(keras_says: Path) -> None:
    images, expected = answers(keras_says, "notop")
    net = fitted("mobilenet_v2", read(WEIGHTS / "mobilenetv2_035_notop_keras.weights.h5"))
    assert (net.origin, net.architecture.heads) == ("keras", ())
    assert net.preprocessing == signed(net.architecture)
    network = engines.build(
        net.architecture, preprocessing=net.preprocessing, parameters=net.parameters, device="cpu"
    )
    with network.trace(images, layers=["out_relu"]) as trace:
        close(trace.activations["out_relu"], expected.transpose(0, 3, 1, 2))


def test_a_teachable_machine_export_answers_as_its_parts_in_keras(keras_says: Path) -> None:
    images, expected = answers(keras_says, "teachable", "teachable_features")
    foreign = read(WEIGHTS / "mobilenetv2_035_teachable_machine")
    trunk = fitted("mobilenet_v2", foreign).architecture
    layers = (
        GlobalAvgPool("average"),
        Dense("dense_Dense3", 100, activation="relu"),
        Dense("dense_Dense4", 2, bias=False),
    )
    whole = Architecture(
        name=trunk.name,
        input_shape=trunk.input_shape,
        layers=without_top(trunk).layers,
        heads=(Head(layers=layers),),
    )
    close(logits(whole, parameters_for(whole, foreign), images, "torch"), expected)

"""The NumPy network from outside: what it takes, what it refuses, and that it never changes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.branches import Adopted, Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d
from convoscope.arrays import Array, generator
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.numpy.network import NumpyNetwork, build
from convoscope.errors import (
    ArchitectureError,
    SettingsError,
    ShapeError,
    UnknownNameError,
    WeightsError,
)
from convoscope.network import Channel, ClassLogit, Network, Neuron, Target

NET = Architecture(
    name="net",
    input_shape=(3, 10, 9),
    layers=(
        Conv2d("conv1", 4, padding=1, activation="relu"),
        Residual("block", (Conv2d("inner", 4, padding=1, activation="relu"), BatchNorm("norm"))),
        MaxPool2d("pool"),
        Conv2d("conv2", 5),
    ),
    heads=(
        Head(layers=(Flatten("flat"), Dropout("drop"), Dense("logits", 3))),
        Head(name="side", layers=(Flatten("flat2"), Dense("side_logits", 2))),
    ),
)
BYTES = generator(0, "network").integers(0, 256, (6, 10, 9, 3), dtype=np.uint8)
IMAGES = BYTES.transpose(0, 3, 1, 2)  # a view, channels last in memory


@pytest.fixture
def network() -> NumpyNetwork:
    return build(NET, seed=1, precision="float64")


def test_the_engine_is_a_network(network: NumpyNetwork) -> None:
    as_protocol: Network = network
    assert as_protocol.engine == "numpy"
    assert as_protocol.layer_names == NET.layer_names
    assert as_protocol.preprocessing == Preprocessing(size=(10, 9))


@pytest.mark.parametrize(
    "images",
    [IMAGES / 255, np.ascontiguousarray(IMAGES), np.repeat(IMAGES, 2, axis=0)[::2]],
    ids=["floats", "contiguous", "strided"],
)
def test_bytes_floats_and_any_strides_give_the_same(network: NumpyNetwork, images: Array) -> None:
    expected = network.logits(IMAGES)["class"]
    np.testing.assert_allclose(network.logits(images)["class"], expected, rtol=1e-12)


def test_each_image_is_computed_as_if_it_were_alone(network: NumpyNetwork) -> None:
    together = network.logits(IMAGES)["class"]
    alone = np.concatenate([network.logits(IMAGES[i : i + 1])["class"] for i in range(6)])
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_preprocessing_orders_and_scales_the_channels() -> None:
    preprocessing = Preprocessing(
        size=(10, 9), order="bgr", mean=(0.1, 0.2, 0.3), sd=(0.5, 0.6, 0.7)
    )
    plain = build(NET, seed=1, precision="float64")
    network = build(NET, seed=1, precision="float64", preprocessing=preprocessing)
    mean, sd = (np.reshape(v, (3, 1, 1)) for v in (preprocessing.mean, preprocessing.sd))
    prepared = (IMAGES[:, ::-1] / 255 - mean) / sd
    np.testing.assert_allclose(network.logits(IMAGES)["class"], plain.logits(prepared)["class"])
    with network.trace(IMAGES) as trace, plain.trace(prepared) as expected:
        target = ClassLogit("class", 2)
        inner = expected.gradient([target])
        np.testing.assert_allclose(trace.gradient([target]), (inner / sd)[:, :, ::-1], rtol=1e-10)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (IMAGES[:, :2], "images must be (N, 3, 10, 9), got an array of shape (6, 2, 10, 9)"),
        (BYTES, "move the channels first with  images.transpose(0, 3, 1, 2)"),
        (IMAGES[0], "a single image is  image[None]"),
        (IMAGES.astype(np.int64), "images must be uint8 in 0..255 or floats in [0, 1], got int64"),
        (np.where(IMAGES[4, 0, 0, 0] == IMAGES, np.nan, 0.5), "images must hold finite numbers"),
    ],
    ids=["channels", "channels last", "one image", "integers", "nan"],
)
def test_images_that_are_not_the_networks_are_one_sentence(
    network: NumpyNetwork, images: Array, sentence: str
) -> None:
    for ask in (network.logits, network.trace):
        with pytest.raises(ShapeError) as error:
            ask(images)
        assert sentence in str(error.value)
        assert "\n" not in str(error.value)


def test_a_device_or_precision_of_the_other_engine_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"computes on the CPU, got 'cuda': use device='cpu'"):
        engines.build(NET, engine="numpy", device="cuda")
    with pytest.raises(SettingsError, match=r"float32 or float64, got 'bfloat16'"):
        engines.build(NET, engine="numpy", precision="bfloat16")


def test_an_adopted_network_is_refused_by_name() -> None:
    adopted = Adopted(
        "resnet",
        source="timm/resnet18",
        cut="4",
        maps=(8, 2, 2),
        parameters=5,
        multiply_accumulates=5,
    )
    with pytest.raises(ArchitectureError) as error:
        build(Architecture(name="a", input_shape=(3, 10, 9), layers=(adopted,)))
    assert str(error.value) == (
        "layer 'resnet': engine 'numpy' computes the layers of the vocabulary, got a network "
        "adopted from timm/resnet18: use engine='torch'"
    )


def test_parameters_are_copies_both_ways() -> None:
    given = dict(build(NET, seed=1).parameters())
    network = build(NET, parameters=given)
    before = network.logits(IMAGES)["class"]
    for array in (*given.values(), *network.parameters().values()):
        array += 1
    np.testing.assert_array_equal(network.logits(IMAGES)["class"], before)


def test_a_network_with_other_parameters_is_a_second_network(network: NumpyNetwork) -> None:
    before = network.logits(IMAGES)["class"]
    other = network.with_parameters({"logits.bias": np.array([1.0, 2.0, 3.0])})
    np.testing.assert_allclose(
        other.logits(IMAGES)["class"], before + np.arange(1.0, 4.0), rtol=1e-12
    )
    np.testing.assert_array_equal(network.logits(IMAGES)["class"], before)
    with pytest.raises(WeightsError, match=r"parameter 'logits\.bias' must have the shape \(3,\)"):
        network.with_parameters({"logits.bias": np.zeros(4)})
    with pytest.raises(WeightsError, match=r"did you mean 'logits\.bias'"):
        network.with_parameters({"logits.bia": np.zeros(3)})


def test_a_network_without_parameters_computes() -> None:
    pool = Architecture(name="pool", input_shape=(3, 10, 9), layers=(MaxPool2d("pool"),))
    with build(pool).trace(IMAGES, layers=["pool"]) as trace:
        assert trace.activations["pool"].shape == (6, 3, 5, 4)
        assert trace.activations["pool"].dtype == np.float32


def test_a_trace_may_stop_at_a_layer(network: NumpyNetwork) -> None:
    with network.trace(IMAGES, layers=["conv1", "inner"], upto="inner") as trace:
        assert set(trace.activations) == {"conv1", "inner"}
        assert trace.logits == {}
        with pytest.raises(SettingsError, match="the forward pass stopped at 'inner'"):
            trace.gradient([ClassLogit("class", 0)])
    with network.trace(IMAGES, layers=["side_logits"], upto="side_logits") as trace:
        expected = network.logits(IMAGES)["side"]
        np.testing.assert_array_equal(trace.activations["side_logits"], expected)


def test_unknown_layers_and_heads_are_named_with_the_nearest(network: NumpyNetwork) -> None:
    for arguments in ({"layers": ["conv3"]}, {"upto": "conv3"}):
        with pytest.raises(UnknownNameError, match="no layer 'conv3': did you mean 'conv"):
            network.trace(IMAGES, **arguments)
    with network.trace(IMAGES, layers=["conv1"]) as trace:
        with pytest.raises(UnknownNameError, match="no head 'clas': did you mean 'class'"):
            trace.gradient([ClassLogit("clas", 0)])
        with pytest.raises(UnknownNameError, match="no layer 'conv11'"):
            trace.gradient([ClassLogit("class", 0)], wrt="conv11")


def test_gradients_that_cannot_be_are_one_sentence(network: NumpyNetwork) -> None:
    with network.trace(IMAGES, layers=["conv1", "conv2"]) as trace:
        with pytest.raises(SettingsError, match="needs the layers it starts from and ends at"):
            trace.gradient([ClassLogit("class", 0)], wrt="pool")
        with pytest.raises(SettingsError, match="needs the layers it starts from and ends at"):
            trace.gradient([Neuron("pool", 0, 0, 0)])
        with pytest.raises(SettingsError, match="must lie downstream of wrt='conv2'"):
            trace.gradient([Channel("conv1", 0)], wrt="conv2")
        with pytest.raises(SettingsError, match="channel must be from 0 to 3, got 4"):
            trace.gradient([Channel("conv1", 4)])


def test_a_gradient_leaves_the_trace_as_it_was(network: NumpyNetwork) -> None:
    with network.trace(IMAGES, layers=NET.layer_names) as trace:
        targets: list[Target] = [
            ClassLogit("class", 1),
            Channel("inner", 2),
            Neuron("conv1", 0, 1, 2),
        ]
        activations = {name: maps.copy() for name, maps in trace.activations.items()}
        first = trace.gradient(targets, relu_rule="guided")
        trace.gradient(targets, wrt="conv1")
        np.testing.assert_array_equal(trace.gradient(targets, relu_rule="guided"), first)
        for name, maps in activations.items():
            np.testing.assert_array_equal(trace.activations[name], maps)


def test_the_engine_loads_no_deep_learning_library() -> None:
    code = (
        "import sys, convoscope.engines.numpy.learner\n"
        "assert not {'torch', 'timm', 'numba'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_without_parameters_computes_in_the_precision_it_is_asked_for() -> None:
    pooled = Architecture(
        name="pooled",
        input_shape=(1, 4, 4),
        layers=(MaxPool2d("pool"),),
        heads=(Head(layers=(Flatten("flatten"),)),),
    )
    network = engines.build(pooled, engine="numpy", precision="float64")
    assert network.logits(np.zeros((1, 1, 4, 4)))["class"].dtype == np.float64

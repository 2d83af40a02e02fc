"""Networks: what goes in, what comes out, and that neither is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from convoscope import engines
from convoscope.architecture import zoo
from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture, logit_shapes
from convoscope.architecture.layers import Conv2d, Dense, Flatten
from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.initialise import initial_parameters
from convoscope.engines.torch.network import TorchNetwork, as_pixels, as_tensor
from convoscope.engines.weights import parameter_shapes
from convoscope.errors import SettingsError, ShapeError, WeightsError
from convoscope.network import ClassLogit

SMALL_ENOUGH = sorted(set(zoo.ZOO) - {"two-conv", "vgg11", "vgg16", "vgg19"})


@pytest.fixture(scope="module")
def network(small_net: Architecture) -> TorchNetwork:
    return make(small_net)


def make(architecture: Architecture, **options: object) -> TorchNetwork:
    network = engines.build(architecture, device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(network, TorchNetwork)
    return network


@pytest.mark.parametrize("name", SMALL_ENOUGH)
def test_zoo_networks_have_their_architectures_shapes(name: str) -> None:
    architecture = zoo.make(name)
    network = make(architecture)
    images = np.zeros((1, *architecture.input_shape), dtype=np.uint8)
    places = {layer: architecture.place(layer) for layer in network.layer_names}
    with network.trace(images, layers=network.layer_names) as trace:
        shapes = {layer: array.shape[1:] for layer, array in trace.activations.items()}
        logits = {head: array.shape[1:] for head, array in trace.logits.items()}
    assert network.layer_names == architecture.layer_names
    assert shapes == {layer: place.output_shape for layer, place in places.items()}
    assert logits == logit_shapes(architecture)
    assert network.parameter_shapes() == parameter_shapes(architecture)


def test_fresh_parameters_are_those_of_the_seed(small_net: Architecture) -> None:
    expected = initial_parameters(small_net, 11)
    got = make(small_net, seed=11).parameters()
    assert list(got) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name])


def test_fresh_parameters_are_handed_over_without_a_copy() -> None:
    layers = (Flatten("flat"), Dense("dense", 1000, bias=False))
    architecture = Architecture(name="t", input_shape=(3, 8, 8), layers=layers)
    drawn = initial_parameters(architecture, 0)["dense.weight"]
    assert as_tensor(drawn).data_ptr() == drawn.ctypes.data
    weight = make(architecture).module.named["dense"].weight
    assert isinstance(weight, torch.Tensor)
    assert weight.untyped_storage().nbytes() == drawn.nbytes


def test_given_parameters_are_copied(small_net: Architecture) -> None:
    given = initial_parameters(small_net, 1)
    network = make(small_net, parameters=given)
    before = network.parameters()
    for array in given.values():
        array[...] = 0
    for array in network.parameters().values():
        array[...] = 1
    for name, array in network.parameters().items():
        np.testing.assert_array_equal(array, before[name])


def test_read_only_parameters_are_taken(small_net: Architecture) -> None:
    given = initial_parameters(small_net, 1, "float64")
    for array in given.values():
        array.flags.writeable = False
    network = make(small_net, parameters=given)
    np.testing.assert_allclose(network.parameters()["conv1.weight"], given["conv1.weight"])
    again = network.with_parameters({"conv1.weight": 2 * given["conv1.weight"]})
    np.testing.assert_allclose(again.parameters()["conv1.weight"], 2 * given["conv1.weight"])


def test_with_parameters_is_a_second_network(network: TorchNetwork) -> None:
    before = network.parameters()
    second = network.with_parameters({"conv1.bias": np.full(6, 3.0)})
    np.testing.assert_array_equal(second.parameters()["conv1.bias"], np.full(6, 3.0))
    np.testing.assert_array_equal(second.parameters()["conv2.weight"], before["conv2.weight"])
    np.testing.assert_array_equal(network.parameters()["conv1.bias"], before["conv1.bias"])
    assert second.architecture == network.architecture


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("conv1.wait", np.zeros(6), "there is no parameter 'conv1.wait': did you mean 'conv1.we"),
        ("conv1.bias", np.zeros(5), "'conv1.bias' must have the shape (6,), got (5,)"),
    ],
)
def test_parameters_of_another_network_are_refused(
    network: TorchNetwork, name: str, array: Array, message: str
) -> None:
    with pytest.raises(WeightsError) as caught:
        network.with_parameters({name: array})
    assert message in str(caught.value)
    with pytest.raises(WeightsError) as caught:
        make(network.architecture, parameters={**network.parameters(), name: array})
    assert message in str(caught.value)


def test_missing_parameters_are_named(network: TorchNetwork) -> None:
    with pytest.raises(
        WeightsError, match=r"for every layer, got none for 'conv1.weight' and 15 m"
    ):
        make(network.architecture, parameters={"conv1.bias": np.zeros(6)})


def test_bytes_are_read_as_v_over_255_whatever_their_strides(
    network: TorchNetwork, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    channels_first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    frozen = channels_first.copy()
    frozen.flags.writeable = False
    expected = network.logits((channels_first / 255).astype(np.float32))["class"]
    for images in (
        channels_first,
        frozen,
        pixels.transpose(0, 3, 1, 2),
        np.load(tmp_path / "images.npy", mmap_mode="r").transpose(0, 3, 1, 2),
        channels_first[::-1][::-1],
        channels_first[:, ::-1].copy()[:, ::-1],
        np.asfortranarray(channels_first),
        np.repeat(channels_first, 2, axis=0)[::2],
    ):
        np.testing.assert_allclose(network.logits(images)["class"], expected, rtol=1e-5, atol=1e-6)


def test_a_view_of_images_with_channels_last_is_not_reordered() -> None:
    pixels = np.zeros((2, 8, 8, 3), dtype=np.uint8).transpose(0, 3, 1, 2)
    tensor = as_pixels(pixels, torch.device("cpu"), torch.float32)
    assert tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_taken_as_they_are(
    network: TorchNetwork, dtype: str, make_images: Callable[..., Array]
) -> None:
    images = make_images(2, (3, 8, 8))
    np.testing.assert_allclose(
        network.logits(images.astype(dtype))["class"], network.logits(images)["class"], atol=1e-2
    )


def test_no_images_give_no_logits(network: TorchNetwork) -> None:
    assert network.logits(np.zeros((0, 3, 8, 8), dtype=np.uint8))["class"].shape == (0, 4)


def test_preprocessing_orders_the_channels_and_standardises(
    small_net: Architecture, make_images: Callable[..., Array]
) -> None:
    mean, sd = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    preprocessing = Preprocessing(size=(8, 8), order="bgr", mean=mean, sd=sd)
    plain = make(small_net, precision="float64")
    network = make(small_net, precision="float64", preprocessing=preprocessing)
    images = make_images(2, (3, 8, 8))
    column = (slice(None), None, None)
    seen = (images[:, ::-1] - np.array(mean)[column]) / np.array(sd)[column]
    np.testing.assert_allclose(
        network.logits(images)["class"], plain.logits(seen)["class"], rtol=1e-12
    )
    target = [ClassLogit("class", 1)]
    with network.trace(images) as trace, plain.trace(seen) as plain_trace:
        got, inner = trace.gradient(target), plain_trace.gradient(target)
    np.testing.assert_allclose(got, (inner / np.array(sd)[column])[:, :, ::-1], rtol=1e-10)


def test_one_mean_serves_all_channels(
    small_net: Architecture, make_images: Callable[..., Array]
) -> None:
    images = make_images(2, (3, 8, 8))
    network = make(small_net, preprocessing=Preprocessing(size=(8, 8), mean=(0.5,), sd=(0.5,)))
    expected = make(small_net).logits(2 * images - 1)["class"]
    np.testing.assert_allclose(network.logits(images)["class"], expected, rtol=1e-4, atol=1e-6)
    assert make(small_net).preprocessing == Preprocessing(size=(8, 8))


def test_a_gray_network_has_gray_preprocessing() -> None:
    architecture = Architecture(name="t", input_shape=(1, 8, 8), layers=(Conv2d("conv", 2),))
    assert make(architecture).preprocessing == Preprocessing(size=(8, 8), order="gray")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 8, 8)), "must be (N, 3, 8, 8), got an array of shape (3, 8, 8): a single im"),
        (np.zeros((2, 8, 8, 3)), "move the channels first with  images.transpose(0, 3, 1, 2)"),
        (np.zeros((2, 3, 9, 8)), "got an array of shape (2, 3, 9, 8): resize them"),
        (np.zeros((2, 3, 8, 8), dtype=np.int64), "uint8 in 0..255 or floats in [0, 1], got int64"),
        (np.full((2, 3, 8, 8), np.nan), "finite numbers, got NaN or infinity in image 0 (2 of 2"),
    ],
)
def test_images_that_do_not_fit_are_one_sentence(
    network: TorchNetwork, images: Array, message: str
) -> None:
    for ask in (network.logits, network.trace):
        with pytest.raises(ShapeError) as caught:
            ask(images)
        assert message in str(caught.value)


def test_an_adopted_layer_that_nobody_publishes_cannot_be_built_from_its_description() -> None:
    adopted = Adopted(
        "trunk", source="torch/x", cut="", maps=(3, 2, 2), parameters=1, multiply_accumulates=1
    )
    architecture = Architecture(name="t", input_shape=(3, 8, 8), layers=(adopted,))
    with pytest.raises(
        SettingsError, match=r"layer 'trunk': an adopted network \(torch/x\) comes w"
    ):
        make(architecture)


def test_the_precision_is_kept(small_net: Architecture) -> None:
    fine = make(small_net, precision="float64")
    plain = make(small_net)
    images = np.zeros((2, 3, 8, 8))
    assert fine.logits(images)["class"].dtype == np.float64
    assert plain.logits(images)["class"].dtype == np.float32
    np.testing.assert_array_equal(  # the same network, computed more finely
        fine.parameters()["conv1.weight"], plain.parameters()["conv1.weight"]
    )

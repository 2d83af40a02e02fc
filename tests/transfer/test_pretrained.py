"""Backbones opened from the store, against the original implementations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from convoscope.arrays import Array, FloatArray, generator
from convoscope.engines.torch.adopted.timm_models import make_module
from convoscope.errors import SettingsError, UnknownNameError, WeightsError
from convoscope.network import Network
from convoscope.transfer.catalogue import Backbone, backbone
from convoscope.transfer.importing import importing
from convoscope.transfer.pretrained import pretrained


def as_the_module_takes_them(images: FloatArray, row: Backbone) -> torch.Tensor:
    """Images in [0, 1], normalised as timm's own configuration says."""
    mean = torch.tensor(row.preprocessing.mean).reshape(1, -1, 1, 1)
    sd = torch.tensor(row.preprocessing.sd).reshape(1, -1, 1, 1)
    return (torch.from_numpy(images) - mean) / sd


def assert_close(ours: FloatArray, theirs: torch.Tensor) -> None:
    """Within 1e-5 of the largest value."""
    expected = theirs.numpy()
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


def assert_is_timms(name: str, folder: Path) -> None:
    """Random weights of timm's module, through a file and the store, compute what it computes."""
    row = backbone(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = make_module(row.source)
    file = folder / "random.safetensors"
    save_file(module.state_dict(), file)
    stored = importing(file, name)
    assert (stored.classes, stored.parameters) == (row.classes, row.parameters)
    images = generator(0, name).random((1, *row.input_shape), dtype=np.float32)
    trunk = pretrained(name, with_top=False)
    with torch.no_grad():
        prepared = as_the_module_takes_them(images, row)
        features = module.forward_features(prepared)  # type: ignore[operator]
        logits = module.forward_head(features)  # type: ignore[operator]
    maps = trunk_output(trunk, images)
    if features.ndim == 3:  # tokens: ours are those with a place, as maps
        features = features[:, -maps[0, 0].size :].transpose(1, 2).reshape(maps.shape)
    assert_close(maps, features)
    assert trunk.preprocessing == row.preprocessing
    if row.classes:
        assert_close(pretrained(name).logits(images)["class"], logits)


def trunk_output(trunk: Network, images: FloatArray) -> FloatArray:
    """What comes out of a network without heads."""
    last = trunk.architecture.layers[-1].name
    with trunk.trace(images, layers=[last], upto=last) as trace:
        return trace.activations[last]


@pytest.mark.usefixtures("own_store")
def test_a_network_of_timms_computes_what_timms_module_computes(tmp_path: Path) -> None:
    assert_is_timms("timm:test_resnet", tmp_path)


@pytest.mark.usefixtures("own_store")
def test_a_vision_transformers_patches_are_maps(tmp_path: Path) -> None:
    assert_is_timms("timm:test_vit", tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("own_store")
@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "inception_v3",
        "inception_resnet_v2",
        "xception",
        "timm:vit_small_patch14_dinov2.lvd142m",
    ],
)
def test_each_adopted_backbone_computes_what_timms_module_computes(
    name: str, tmp_path: Path
) -> None:
    assert_is_timms(name, tmp_path)


@pytest.mark.usefixtures("own_store")
def test_torchvisions_names_are_read_into_our_own_layers(
    tmp_path: Path, squeezenet: dict[str, Array]
) -> None:
    file = tmp_path / "squeezenet1_0.pth"
    torch.save({name: torch.from_numpy(array) for name, array in squeezenet.items()}, file)
    stored = importing(file, "squeezenet1_0")
    assert (stored.classes, stored.parameters) == (1000, 1_248_424)
    images = generator(0, "images").random((1, 3, 224, 224), dtype=np.float32)
    network, by_hand = pretrained("squeezenet1_0"), pretrained("squeezenet1_0", engine="numpy")
    assert network.preprocessing == backbone("squeezenet1_0").preprocessing
    np.testing.assert_allclose(
        by_hand.logits(images)["class"], network.logits(images)["class"], rtol=1e-4, atol=1e-5
    )
    trunk = pretrained("squeezenet1_0", with_top=False)
    assert trunk.architecture.heads == ()
    assert trunk.architecture.layers[-1].name == backbone("squeezenet1_0").features


@pytest.fixture(scope="module")
def squeezenet() -> dict[str, Array]:
    """Random weights under torchvision's names."""
    arrays: dict[str, Array] = {}

    def conv(name: str, filters: int, channels: int, k: int) -> None:
        rng = generator(0, name)
        sd = (2 / (channels * k * k)) ** 0.5
        arrays[f"{name}.weight"] = rng.normal(0, sd, (filters, channels, k, k)).astype(np.float32)
        arrays[f"{name}.bias"] = rng.normal(0, 0.1, filters).astype(np.float32)

    conv("features.0", 96, 3, 7)
    channels = 96
    for number, wide in zip((3, 4, 5, 7, 8, 9, 10, 12), (1, 1, 2, 2, 3, 3, 4, 4), strict=True):
        conv(f"features.{number}.squeeze", 16 * wide, channels, 1)
        conv(f"features.{number}.expand1x1", 64 * wide, 16 * wide, 1)
        conv(f"features.{number}.expand3x3", 64 * wide, 16 * wide, 3)
        channels = 128 * wide
    conv("classifier.1", 1000, 512, 1)
    return arrays


@pytest.mark.usefixtures("own_store")
def test_the_real_squeezenet_knows_a_photograph_on_both_engines(
    shared: Callable[[str], Path],
) -> None:
    from convoscope.jobs.predict import predict_with_backbone

    importing(shared("weights/squeezenet10_float32.npz"), "squeezenet1_0")
    photograph = shared("caltech5/test/grand_piano/image_0081.jpg")
    for engine in ("torch", "numpy"):
        (said,) = predict_with_backbone("squeezenet1_0", photograph, engine=engine)
        best = said.heads["class"][0]
        assert best.name == "grand piano"
        assert best.probability > 0.9


@pytest.mark.usefixtures("own_store")
def test_without_weights_both_ways_to_get_them_are_told(tiny: Backbone) -> None:
    for name, full in (("vgg19", "vgg19"), ("timm:test_resnet", tiny.name)):
        with pytest.raises(WeightsError) as caught:
            pretrained(name)
        assert str(caught.value) == (
            f"backbone {full!r}: its weights must be on this machine, they are not: run  "
            f"convoscope weights fetch {full}  or, with a file of them,  convoscope weights import "
            f"FILE --as {full}"
        )


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no backbone 'resnet5': did you mean 'resnet50'"):
        pretrained("resnet5")


@pytest.mark.usefixtures("own_store")
def test_the_numpy_engine_refuses_an_adopted_module(tiny: Backbone, tiny_file: Path) -> None:
    importing(tiny_file, tiny.name)
    with pytest.raises(SettingsError, match="engine='numpy' computes networks of our own layers"):
        pretrained(tiny.name, engine="numpy")


@pytest.mark.usefixtures("own_store")
def test_a_top_that_the_file_lacks_is_refused_and_the_trunk_is_not(
    tmp_path: Path, tiny: Backbone, tiny_arrays: dict[str, Array]
) -> None:
    file = tmp_path / "notop.safetensors"
    without = {n: torch.tensor(a) for n, a in tiny_arrays.items() if not n.startswith("fc.")}
    save_file(without, file)
    importing(file, tiny.name)
    assert pretrained(tiny.name, with_top=False).architecture.heads == ()
    with pytest.raises(WeightsError, match="its classifier needs weights, those at hand") as caught:
        pretrained(tiny.name)
    assert "(notop.safetensors) have none" in str(caught.value)

"""Weight files brought into the store: as they should be, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.download import sha256_of
from convoscope.errors import UnknownNameError, WeightsError
from convoscope.transfer import store
from convoscope.transfer.catalogue import Backbone, Origin
from convoscope.transfer.importing import UNSTATED, fingerprint, importing


def test_a_safetensors_file_becomes_kept_weights(
    own_store: Path, tiny: Backbone, tiny_file: Path, tiny_arrays: dict[str, Array]
) -> None:
    stored = importing(tiny_file, tiny.name)
    assert stored == store.find(tiny.name)
    assert stored.folder.parent == own_store
    assert (stored.classes, stored.parameters) == (1000, tiny.parameters)
    assert stored.input_shape == tiny.input_shape
    assert stored.preprocessing == tiny.preprocessing
    assert stored.origin.place == "model.safetensors"
    assert stored.origin.sha256 == sha256_of(tiny_file)
    kept = stored.arrays()
    assert kept.keys() == {f"trunk.{name}" for name in tiny_arrays}
    for name, array in tiny_arrays.items():
        np.testing.assert_array_equal(kept[f"trunk.{name}"], array)


@pytest.mark.usefixtures("own_store")
def test_a_pth_file_of_timms_is_the_same(
    tmp_path: Path, tiny: Backbone, tiny_arrays: dict[str, Array]
) -> None:
    file = tmp_path / "model.pth"
    torch.save({name: torch.tensor(array) for name, array in tiny_arrays.items()}, file)
    stored = importing(file, tiny.name)
    np.testing.assert_array_equal(stored.arrays()["trunk.fc.weight"], tiny_arrays["fc.weight"])


@pytest.mark.usefixtures("own_store")
def test_a_file_without_top_is_a_trunk(
    tmp_path: Path, tiny: Backbone, tiny_arrays: dict[str, Array]
) -> None:
    file = tmp_path / "notop.safetensors"
    save_file({n: a for n, a in tiny_arrays.items() if not n.startswith("fc.")}, file)
    stored = importing(file, tiny.name)
    assert stored.classes == 0
    assert stored.architecture().heads == ()
    assert "trunk.fc.weight" not in stored.arrays()


@pytest.mark.usefixtures("own_store")
def test_what_only_training_used_is_left_out(
    tmp_path: Path, tiny: Backbone, tiny_arrays: dict[str, Array]
) -> None:
    file = tmp_path / "aux.safetensors"
    save_file({**tiny_arrays, "AuxLogits.fc.weight": np.ones((2, 2), np.float32)}, file)
    assert "trunk.AuxLogits.fc.weight" not in importing(file, tiny.name).arrays()


@pytest.mark.usefixtures("own_store")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"conv1.0.weight": None},
            "this file of 76 arrays lacks 'conv1.0.weight': give a file of this network",
        ),
        (
            {"extra.weight": np.ones(3, np.float32)},
            "arrays also has 'extra.weight': give a file of this network",
        ),
        (
            {"fc.weight": np.ones((7, 96), np.float32)},
            "'fc.weight' of timm/test_resnet.r160_in1k must have the shape (1000, 96), found (7,",
        ),
        ({"fc.bias": np.full(1000, np.nan, np.float32)}, "found NaN or infinity in 1000 of 1000"),
    ],
)
def test_another_networks_weights_are_refused(
    tmp_path: Path,
    tiny: Backbone,
    tiny_arrays: dict[str, Array],
    change: dict[str, Array | None],
    said: str,
) -> None:
    file = tmp_path / "other.safetensors"
    arrays = {**tiny_arrays, **change}
    save_file({name: array for name, array in arrays.items() if array is not None}, file)
    with pytest.raises(WeightsError) as caught:
        importing(file, tiny.name)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert store.installed() == ()


@pytest.mark.usefixtures("own_store")
def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="a weight file or a model's folder must be there"):
        importing(tmp_path / "nothing.pth", "vgg19")
    with pytest.raises(UnknownNameError, match="did you mean 'vgg19'"):
        importing(tmp_path / "nothing.pth", "vgg91")


@pytest.mark.usefixtures("own_store")
def test_the_licence_is_the_catalogues_only_for_the_very_file_that_it_pins(
    tiny: Backbone, tiny_file: Path
) -> None:
    assert importing(tiny_file, tiny).licence == UNSTATED
    pinned = replace(tiny, origin=Origin(urls=("https://x/y",), sha256=sha256_of(tiny_file)[:8]))
    assert importing(tiny_file, pinned).licence == tiny.licence
    other = replace(tiny, origin=Origin(urls=("https://x/y",), sha256="0" * 8))
    assert importing(tiny_file, other).licence == UNSTATED


def test_a_folders_fingerprint_depends_on_names_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    (folder / "b").write_bytes(b"2")
    first = fingerprint(folder)
    (folder / "a").write_bytes(b"3")
    second = fingerprint(folder)
    (folder / "a").write_bytes(b"1")
    assert fingerprint(folder) == first != second
    (folder / "a").rename(folder / "c")
    assert fingerprint(folder) not in (first, second)


@pytest.mark.usefixtures("own_store")
def test_squeezenet_brings_its_own_size_and_pixels(shared: Callable[[str], Path]) -> None:
    stored = importing(shared("weights/squeezenet10_float32.npz"), "squeezenet1_0")
    assert stored.input_shape == (3, 227, 227)
    assert stored.preprocessing == Preprocessing(
        size=(227, 227),
        resize="crop",
        order="bgr",
        mean=(104 / 255, 117 / 255, 123 / 255),
        sd=(1 / 255,),
    )
    assert (stored.classes, stored.parameters) == (1000, 1_248_424)


@pytest.mark.usefixtures("own_store")
def test_a_file_of_another_backbone_is_told_apart(shared: Callable[[str], Path]) -> None:
    with pytest.raises(WeightsError, match="it fits squeezenet1_0; choose that network"):
        importing(shared("weights/squeezenet10_float32.npz"), "vgg19")


@pytest.mark.usefixtures("own_store")
def test_a_file_of_one_of_ours_is_told_apart_from_an_adopted_one(
    shared: Callable[[str], Path], tiny: Backbone
) -> None:
    with pytest.raises(WeightsError, match="it fits squeezenet1_0; choose that") as caught:
        importing(shared("weights/squeezenet10_float32.npz"), tiny.name)
    assert len(str(caught.value)) < 500

"""Kept weights: written whole, opened as a map, checked, removed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.transfer.conftest import files_up_to

from convoscope import disk
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, GlobalAvgPool
from convoscope.arrays import Array
from convoscope.data.preprocessing import Preprocessing
from convoscope.download import sha256_of
from convoscope.errors import StorageError, WeightsError
from convoscope.transfer import store
from convoscope.transfer.store import Provenance, Stored

ARCHITECTURE = Architecture(
    name="little",
    input_shape=(3, 8, 8),
    layers=(Conv2d("conv", 2), BatchNorm("norm")),
    heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 4))),),
)
ARRAYS: dict[str, Array] = {
    "conv.weight": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3),
    "norm.running_var": np.array([1, 2], np.float32),
    "norm.num_batches_tracked": np.array(3, np.int64),
}
LITTLE = Stored(
    name="timm:little.tag",
    source="timm/little.tag",
    input_shape=(3, 8, 8),
    preprocessing=Preprocessing(size=(8, 8), resize="crop", order="bgr", mean=(0.1, 0.2, 0.3)),
    classes=4,
    parameters=54,
    licence="MIT",
    origin=Provenance(place="https://x/y", format="torch", sha256="ab" * 32, commit="c0ffee"),
)


def kept() -> Stored:
    return store.keep(LITTLE, ARCHITECTURE, ARRAYS)


@pytest.mark.usefixtures("own_store")
def test_what_is_kept_is_found_again_as_it_was() -> None:
    assert store.installed() == ()
    assert store.find(LITTLE.name) is None
    stored = kept()
    assert store.find(LITTLE.name) == stored
    assert store.installed() == (stored,)
    assert stored.preprocessing == LITTLE.preprocessing
    assert stored.origin == LITTLE.origin
    assert stored.architecture() == ARCHITECTURE
    arrays = stored.arrays()
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape


def test_the_folder_holds_three_files_that_others_can_read(own_store: Path) -> None:
    stored = kept()
    assert stored.folder == own_store / "timm-little.tag"
    assert sorted(file.name for file in stored.folder.iterdir()) == [
        "architecture.yaml",
        "weights.json",
        "weights.safetensors",
    ]
    record = json.loads((stored.folder / "weights.json").read_text())
    assert record["schema_version"] == 1
    assert record["sha256"] == stored.sha256
    assert record["origin"]["commit"] == "c0ffee"
    theirs = load_file(stored.folder / "weights.safetensors")  # the format's own reader
    np.testing.assert_array_equal(theirs["conv.weight"], ARRAYS["conv.weight"])


@pytest.mark.usefixtures("own_store")
def test_arrays_are_mapped_and_cannot_be_written() -> None:
    array = kept().arrays()["conv.weight"]
    assert isinstance(array.base, np.memmap) or isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0, 0, 0] = 1


def test_keeping_again_replaces_what_was_there(own_store: Path) -> None:
    kept()
    store.keep(LITTLE, ARCHITECTURE, {"conv.weight": np.zeros(3, np.float32)})
    assert store.needed(LITTLE.name).arrays().keys() == {"conv.weight"}
    assert [path.name for path in own_store.iterdir()] == ["timm-little.tag"]


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(own_store: Path) -> None:
    first = kept()
    large = {"conv.weight": np.zeros(100_000, np.float32)}
    with files_up_to(50_000), pytest.raises(StorageError, match="needs more room than the disk"):
        store.keep(LITTLE, ARCHITECTURE, large)
    assert store.find(LITTLE.name) == first
    assert [path.name for path in own_store.iterdir()] == ["timm-little.tag"]


@pytest.mark.usefixtures("own_store")
def test_removing_frees_the_bytes_and_tells_how_many() -> None:
    stored = kept()
    size = sum(file.stat().st_size for file in stored.folder.iterdir())
    assert store.remove(LITTLE.name) == size
    assert not stored.folder.exists()
    assert store.remove(LITTLE.name) == 0


@pytest.mark.usefixtures("own_store")
def test_one_changed_byte_is_found() -> None:
    stored = kept()
    store.verify(stored)
    file = stored.folder / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    stored.arrays()  # opening does not read every byte
    with pytest.raises(WeightsError, match="kept weights must be as they were written") as caught:
        store.verify(stored)
    assert f"SHA-256 {sha256_of(file)[:12]}... instead of {stored.sha256[:12]}" in str(caught.value)
    assert "convoscope weights rm timm:little.tag" in str(caught.value)


@pytest.mark.usefixtures("own_store")
def test_a_file_that_was_cut_short_is_found_on_opening() -> None:
    stored = kept()
    file = stored.folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(WeightsError, match=rf"this has {stored.bytes - 8:,} bytes instead of"):
        stored.arrays()
    file.unlink()
    with pytest.raises(WeightsError, match="kept weights must be as they were written"):
        stored.arrays()


@pytest.mark.usefixtures("own_store")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "this has Expecting property name"),
        ("[]", "this has no JSON object"),
        ('{"schema_version": 2}', "this has schema_version 2 instead of 1"),
        ('{"schema_version": 1}', "this has name: Field required"),
    ],
)
def test_a_record_that_is_not_whole_is_refused(content: str, said: str) -> None:
    stored = kept()
    disk.write_text(stored.folder / "weights.json", content)
    for look in (lambda: store.find(LITTLE.name), store.installed):
        with pytest.raises(WeightsError, match=r"weights\.json: kept weights must be") as caught:
            look()
        assert said in str(caught.value)


@pytest.mark.usefixtures("own_store")
def test_an_architecture_that_is_not_whole_is_refused() -> None:
    stored = kept()
    disk.write_text(stored.folder / "architecture.yaml", "layers: [{kind: wat, name: x}]")
    with pytest.raises(WeightsError, match=r"architecture\.yaml: kept weights must be"):
        stored.architecture()


@pytest.mark.usefixtures("own_store")
def test_weights_that_are_not_here_are_refused_with_both_ways_to_get_them() -> None:
    with pytest.raises(WeightsError) as caught:
        store.needed("vgg19")
    assert str(caught.value) == (
        "backbone 'vgg19': its weights must be on this machine, they are not: run  convoscope "
        "weights fetch vgg19  or, with a file of them,  convoscope weights import FILE --as vgg19"
    )


def test_what_a_killed_process_left_is_not_installed(own_store: Path) -> None:
    stored = kept()
    part = own_store / "vgg19.0123.part"
    part.mkdir()
    for file in stored.folder.iterdir():
        (part / file.name).write_bytes(file.read_bytes())
    assert store.installed() == (stored,)

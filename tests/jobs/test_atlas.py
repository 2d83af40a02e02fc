"""The atlas from images to files: against one trace of all images, in blocks, stopped, and odd."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import draw_folder
from tests.networks import TINY_OF_TWO

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, GlobalAvgPool
from convoscope.arrays import ByteArray, generator
from convoscope.errors import DataError, RunError, SettingsError, UnknownNameError
from convoscope.explain.atlas import strongest_images
from convoscope.jobs.atlas import atlas_into
from convoscope.jobs.atlas_pass import BLOCK, survey
from convoscope.jobs.atlas_patches import cut_patches, fitted
from convoscope.jobs.atlas_request import AtlasRequest
from convoscope.jobs.maximise import maximise_into
from convoscope.jobs.maximise_request import MaximiseRequest
from convoscope.jobs.train import train
from convoscope.network import Network
from convoscope.runs import Run

NONE = AtlasRequest(favourites=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three shapes, hardly learnt, on the NumPy engine."""
    folder = tmp_path_factory.mktemp("atlas")
    draw_folder(folder / "shapes", classes=("bars", "poles", "disc"), per_class=9)
    (folder / "tiny.yaml").write_text(TINY_OF_TWO)
    return train(
        folder / "shapes",
        model=folder / "tiny.yaml",
        out=folder / "run",
        epochs=1,
        batch=8,
        engine="numpy",
    )


def network_of(side: int = 10, *, bias: float = 0.0) -> Network:
    """A network of two convolutions for gray images."""
    architecture = Architecture(
        name="two",
        input_shape=(1, side, side),
        layers=(Conv2d("conv1", 3, activation="relu"), Conv2d("conv2", 5, activation="relu")),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 2))),),
    )
    network = engines.build(architecture, engine="numpy", seed=1)
    return network.with_parameters({"conv2.bias": np.full(5, bias, dtype=np.float32)})


def images_of(count: int, side: int = 10) -> ByteArray:
    return generator(0, "images").integers(0, 256, (count, side, side, 1), dtype=np.uint8)


def test_a_pass_in_blocks_is_one_pass(tmp_path: Path) -> None:
    network, images = network_of(), images_of(37)
    found = survey(network, ("conv1", "conv2", "dense"), images, cache_dir=tmp_path)
    with network.trace(images.transpose(0, 3, 1, 2), layers=["conv1", "conv2", "dense"]) as trace:
        for layer, values in trace.activations.items():
            flat = values.reshape(*values.shape[:2], -1)
            np.testing.assert_allclose(found[layer].peaks, flat.max(axis=2), rtol=1e-5)
            np.testing.assert_allclose(found[layer].means, flat.mean(axis=2), rtol=1e-4, atol=1e-6)
    assert found["conv2"].size == (6, 6)
    assert found["dense"].size == (1, 1)


def test_a_stopped_pass_goes_on_where_it_was_and_a_finished_one_costs_nothing(
    tmp_path: Path,
) -> None:
    network, images = network_of(), images_of(40)

    def stop(stage: str, done: int, total: int) -> None:
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(network, ("conv2",), images, cache_dir=tmp_path, progress=stop)
    told: list[int] = []
    first = survey(
        network, ("conv2",), images, cache_dir=tmp_path, progress=lambda s, d, t: told.append(d)
    )
    assert told == [16, 32, 40]
    told.clear()
    again = survey(
        network, ("conv2",), images, cache_dir=tmp_path, progress=lambda s, d, t: told.append(d)
    )
    assert told == [40]
    np.testing.assert_array_equal(first["conv2"].kept, again["conv2"].kept)
    other = network_of(bias=0.1)
    told.clear()
    survey(other, ("conv2",), images, cache_dir=tmp_path, progress=lambda s, d, t: told.append(d))
    assert told == [0, 16, 32, 40]


def test_what_a_pass_holds_does_not_grow_with_the_images(tmp_path: Path) -> None:
    network = network_of(24)

    def most_held(count: int) -> int:
        images = images_of(count, 24)
        tracemalloc.start()
        found = survey(network, ("conv2",), images, cache_dir=tmp_path)["conv2"]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(found.kept, np.memmap)
        return most

    most_held(BLOCK)  # what is made once, such as compiled patterns, is no part of it
    assert most_held(20 * BLOCK) < 1.2 * most_held(2 * BLOCK)


def test_a_patch_is_exactly_what_reaches_the_cell(tmp_path: Path) -> None:
    network, images = network_of(), images_of(20)
    found = survey(network, ("conv1",), images, cache_dir=tmp_path)["conv1"]
    best = strongest_images(found, 2)
    patches = cut_patches(network, "conv1", images, found, best, None)
    for channel in range(3):
        image = int(best[channel, 0])
        row, column = found.place(image, channel)
        part = images[image, row : row + 3, column : column + 3]
        np.testing.assert_array_equal(patches[channel, 0], fitted(part, patches.shape[2]))


def test_a_part_fills_its_square_and_none_leaves_it_gray() -> None:
    part = np.full((2, 4, 1), 200, dtype=np.uint8)
    square = fitted(part, 8)
    assert (square[2:6] == 200).all()
    assert (square[:2] == 128).all()
    assert (fitted(np.zeros((0, 0, 3), dtype=np.uint8), 8) == 128).all()


def test_a_runs_own_images_are_looked_at_and_all_is_kept(run: Run) -> None:
    folder = atlas_into(None, run, request=AtlasRequest(patches=3))
    assert folder.path == run.path / "atlas" / "1"
    facts, arrays = folder.facts, folder.arrays()
    assert (facts["layer"], facts["images"], facts["comparisons"]) == ("conv2", 27, 18)
    assert facts["class_images"] == [9, 9, 9]
    assert "among them those that the network learnt from" in facts["sentence"]
    assert sorted(each["channel"] for each in facts["channels"]) == [0, 1, 2, 3, 4, 5]
    assert arrays["patches"].shape[:2] == (6, 3)
    assert arrays["answers"].shape == (27, 3, 6)
    assert len(arrays["favourites"]) == len(facts["favourites"])
    for each in facts["channels"]:
        values = [patch["value"] for patch in each["patches"]]
        assert values == sorted(values, reverse=True)
        assert all(patch["image"].startswith(patch["label"]) for patch in each["patches"])
        assert each["low"] <= each["auc"] <= each["high"]


def test_one_split_can_be_asked_for(run: Run) -> None:
    folder = atlas_into(None, run, request=AtlasRequest(layer="conv1", split="test", favourites=0))
    assert folder.facts["images"] == len(run.predictions("test").ids)
    assert folder.facts["sentence"] == "These are the test images of shapes."
    assert folder.arrays()["filters"].shape == (4, 3, 3, 3)
    with pytest.raises(SettingsError, match="--split test: only data that comes divided"):
        atlas_into(
            None,
            run,
            run.path.parent / "shapes",
            request=AtlasRequest(split="test", favourites=0),
        )


def test_one_image_or_a_folder_without_classes_will_do(run: Run, tmp_path: Path) -> None:
    flat = np.full((16, 16, 3), 90, dtype=np.uint8)
    Image.fromarray(flat).save(tmp_path / "flat.png")
    folder = atlas_into(tmp_path / "one", run, tmp_path / "flat.png", request=NONE)
    assert folder.facts["images"] == 1
    assert folder.facts["comparisons"] == 0
    assert [each["auc"] for each in folder.facts["channels"]] == [None] * 6
    (tmp_path / "many").mkdir()
    for number in range(3):
        Image.fromarray(flat + number).save(tmp_path / "many" / f"{number}.png")
    folder = atlas_into(tmp_path / "all", run, tmp_path / "many", request=NONE)
    assert folder.facts["images"] == 3
    assert folder.facts["class_names"] == []


def test_units_of_a_dense_layer_have_whole_images_for_patches(run: Run, tmp_path: Path) -> None:
    folder = atlas_into(
        tmp_path / "out", run, request=AtlasRequest(layer="dense", favourites=1, patches=2)
    )
    assert folder.facts["shape"] == [3]
    assert folder.facts["window"] is None
    assert folder.arrays()["favourites"].shape == (1, 3, 16, 16)


def test_favourites_that_were_drawn_before_are_shown_again(run: Run, tmp_path: Path) -> None:
    drawn = maximise_into(
        tmp_path / "drawn", run, request=MaximiseRequest(layers=("conv2",), filters="1,4", steps=2)
    )
    request = AtlasRequest(favourites_from=drawn.path)
    folder = atlas_into(tmp_path / "out", run, request=request)
    shown = dict(zip(folder.facts["favourites"], folder.arrays()["favourites"], strict=True))
    np.testing.assert_array_equal(shown[4], drawn.arrays()["conv2/pictures"][1])
    other = AtlasRequest(layer="conv1", favourites_from=drawn.path)
    with pytest.raises(RunError, match="favourite inputs must be of layer 'conv1' of tiny"):
        atlas_into(tmp_path / "other", run, request=other)


def test_mistakes_are_said_before_a_folder_is_made(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="there is no layer 'conv7'"):
        atlas_into(tmp_path / "out", run, request=AtlasRequest(layer="conv7"))
    with pytest.raises(DataError, match="nowhere"):
        atlas_into(tmp_path / "out", run, tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="there is no head 'colour'"):
        atlas_into(tmp_path / "out", run, request=AtlasRequest(head="colour"))
    with pytest.raises(SettingsError, match="an atlas shows parts of images, got none"):
        atlas_into(tmp_path / "out", network_of())
    with pytest.raises(SettingsError, match="--label-column says how DATA is read, but none"):
        atlas_into(tmp_path / "out", run, label_column=["a"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"patches": 0}, "patches must lie in 1 to 25, got 0"),
        ({"favourites": -1}, "favourites must be at least 0, got -1"),
        ({"favourites": 2, "favourites_from": Path("x")}, "drawn or taken from a folder, got 2"),
    ],
)
def test_a_request_is_checked_when_it_is_made(words: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        AtlasRequest(**words)  # type: ignore[arg-type]

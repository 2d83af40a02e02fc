from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.cutting import front, parameters_of
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d
from convoscope.arrays import ByteArray, FloatArray, generator
from convoscope.data.augment import augment, find_policy
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import SettingsError, UnknownNameError, WeightsError
from convoscope.network import Engine, Network
from convoscope.transfer import features
from convoscope.transfer.features import BLOCK, Front, Views, frozen_features

NET = Architecture(
    name="net",
    input_shape=(3, 8, 8),
    layers=(
        Conv2d("conv", 4, padding=1, activation="relu"),
        BatchNorm("norm"),
        Dropout("drop"),
        MaxPool2d("pool"),
        Flatten("flat"),
        Dense("fc", 6),
    ),
    heads=(Head(layers=(Dense("out", 3),)),),
)
BGR = Preprocessing(size=(8, 8), order="bgr", mean=(0.4, 0.5, 0.6), sd=(0.2, 0.3, 0.4))


def network(engine: Engine = "numpy", seed: int = 0) -> Network:
    return engines.build(NET, engine=engine, seed=seed, preprocessing=BGR)


def made_front(layer: str = "pool", engine: Engine = "numpy", seed: int = 0) -> Front:
    architecture = front(NET, layer)
    parameters = parameters_of(architecture, network("numpy", seed).parameters())
    return Front(architecture=architecture, parameters=parameters, preprocessing=BGR, engine=engine)


def images(count: int = 2 * BLOCK + 3) -> ByteArray:
    return generator(0, "images").integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)


def traced(images: ByteArray, layer: str, engine: Engine = "numpy") -> FloatArray:
    """What the whole network gives there, (N, h, w, C), a vector as maps of one pixel."""
    with network(engine).trace(images.transpose(0, 3, 1, 2), layers=[layer]) as trace:
        maps = trace.activations[layer]
    return maps.reshape(*maps.shape[:2], *(maps.shape[2:] or (1, 1))).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("layer", ["conv", "pool", "fc"])
def test_features_are_what_the_whole_network_gives_there(
    tmp_path: Path, engine: Engine, layer: str
) -> None:
    found = frozen_features(made_front(layer, engine), images(), cache_dir=tmp_path)
    assert found.layer == layer
    np.testing.assert_allclose(found.plain, traced(images(), layer, engine), rtol=0, atol=1e-6)
    assert found.plain.dtype == np.float32
    assert found.rounding == 0


def told(tmp_path: Path, made: Front, pixels: ByteArray, **asked: object) -> list[tuple[int, int]]:
    said: list[tuple[int, int]] = []
    frozen_features(
        made,
        pixels,
        cache_dir=tmp_path,
        progress=lambda done, total: said.append((done, total)),
        **asked,  # type: ignore[arg-type]
    )
    return said


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    assert told(tmp_path, made_front(), images()) == [(0, 35), (16, 35), (32, 35), (35, 35)]
    assert told(tmp_path, made_front(), images()) == [(35, 35)]


@pytest.mark.parametrize(
    "other",
    [
        made_front(seed=1),
        made_front(engine="torch"),
        made_front(layer="drop"),
        replace(made_front(), precision="float64"),
        replace(made_front(), preprocessing=replace(BGR, order="rgb")),
    ],
    ids=["weights", "engine", "layer", "precision", "preprocessing"],
)
def test_another_front_has_its_own(tmp_path: Path, other: Front) -> None:
    told(tmp_path, made_front(), images())
    assert told(tmp_path, other, images())[0] == (0, 35)


def test_another_pixel_has_its_own(tmp_path: Path) -> None:
    told(tmp_path, made_front(), images())
    changed = images()
    changed[0, 0, 0, 0] ^= 1
    assert told(tmp_path, made_front(), changed)[0] == (0, 35)


def test_a_device_makes_no_other_features(tmp_path: Path) -> None:
    told(tmp_path, made_front(), images())
    assert told(tmp_path, replace(made_front(), device="cpu"), images()) == [(35, 35)]


def test_broken_off_it_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == BLOCK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frozen_features(made_front(), images(), cache_dir=tmp_path / "stopped", progress=stop)
    assert told(tmp_path / "stopped", made_front(), images())[0] == (BLOCK, 35)
    told(tmp_path / "whole", made_front(), images())
    (stopped,) = (tmp_path / "stopped").rglob("maps.bin")
    (whole,) = (tmp_path / "whole").rglob("maps.bin")
    assert stopped.read_bytes() == whole.read_bytes()


def compute(folder: Path) -> list[tuple[int, int]]:
    return told(folder, made_front(), images())


def test_of_two_processes_one_computes_and_the_other_waits(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        said = pool.map(compute, [tmp_path, tmp_path], chunksize=1)
    assert sorted(len(each) for each in said) == [1, 4]


def test_how_long_they_took_is_known_to_whoever_finds_them_later(tmp_path: Path) -> None:
    first = frozen_features(made_front(), images(), cache_dir=tmp_path)
    assert first.seconds > 0
    assert frozen_features(made_front(), images(), cache_dir=tmp_path).seconds == first.seconds
    both = frozen_features(
        made_front(), images(), views=Views(count=2, policy="flip"), cache_dir=tmp_path
    )
    assert both.seconds > first.seconds


def test_views_are_the_policy_s_changes_and_the_same_for_every_run(tmp_path: Path) -> None:
    views = Views(count=3, policy="light")
    found = frozen_features(made_front(), images(), views=views, cache_dir=tmp_path)
    plain, *changed = found.views
    np.testing.assert_allclose(plain, traced(images(), "pool"), rtol=0, atol=1e-6)
    for view, maps in enumerate(changed, start=1):
        seen = [
            augment(image, find_policy("light"), generator(0, "view", view, row))
            for row, image in enumerate(images())
        ]
        np.testing.assert_allclose(maps, traced(np.stack(seen), "pool"), rtol=0, atol=1e-6)
    assert np.abs(changed[0] - changed[1]).max() > 0.01


def test_changed_views_are_computed_for_the_images_that_learn_alone(tmp_path: Path) -> None:
    views, rows = Views(count=2, policy="flip"), np.array([BLOCK, BLOCK + 1])
    said = told(tmp_path, made_front(), images(), views=views, rows=rows)
    assert said[-1] == (35 + BLOCK, 35 + BLOCK)
    found = frozen_features(made_front(), images(), views=views, rows=rows, cache_dir=tmp_path)
    assert found.views[1][rows].any()
    assert not found.views[1][:BLOCK].any()


def test_a_single_plain_view_is_the_same_whatever_the_policy_of_others(tmp_path: Path) -> None:
    told(tmp_path, made_front(), images())
    said = told(tmp_path, made_front(), images(), views=Views(count=2, policy="flip"))
    assert said[0] == (35, 70)


def test_many_features_are_kept_as_float16_where_that_is_exact_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = frozen_features(made_front(), images(), cache_dir=tmp_path)
    monkeypatch.setattr(features, "EXACT_UP_TO", 1000)
    rounded = frozen_features(made_front(), images(), cache_dir=tmp_path)
    assert rounded.plain.dtype == np.float16
    assert 0 < rounded.rounding < 2**-10
    np.testing.assert_array_equal(rounded.plain, exact.plain.astype(np.float16))


def test_many_features_that_float16_cannot_hold_are_kept_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "EXACT_UP_TO", 1000)
    made = made_front()
    loud = {name: array * np.float32(1e6) for name, array in made.parameters.items()}
    loud["norm.running_var"] = made.parameters["norm.running_var"]
    found = frozen_features(replace(made, parameters=loud), images(), cache_dir=tmp_path)
    assert found.plain.dtype == np.float32
    assert found.rounding == 0


def test_damaged_weights_are_one_sentence(tmp_path: Path) -> None:
    made = made_front()
    damaged = {**made.parameters, "conv.bias": np.full(4, np.nan, np.float32)}
    with pytest.raises(WeightsError, match="finite numbers, got NaN or infinity for image 0: the"):
        frozen_features(replace(made, parameters=damaged), images(), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("count", "policy", "sentence"),
    [
        (0, "none", "views must be at least 1, got 0"),
        (1, "flip", "augment 'flip': a frozen backbone computes an image once for each of its "),
        (4, "none", "views: 4 views of an image must differ, got augment 'none': add"),
        (2, "photos-mixed", "augment 'photos-mixed': .* one image at a time, .* this mixes two"),
    ],
)
def test_views_that_make_no_sense_are_one_sentence(count: int, policy: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Views(count=count, policy=policy)


def test_an_unknown_policy_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'flip'"):
        Views(count=2, policy="flipp")

"""Gradient ascent against optima that are known, on both engines; silence is said, never NaN."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from tests.explain.conftest import BRANCHES, CHAIN, Build
from torch import nn

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, GlobalAvgPool
from convoscope.arrays import generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.errors import ExplainError, SettingsError, UnknownNameError
from convoscope.explain.maximise import RECIPES, Recipe, maximise
from convoscope.explain.maximise_targets import count, part, words_of
from convoscope.network import (
    Channel,
    ClassLogit,
    Engine,
    Network,
    Neuron,
    Precision,
    Target,
)

PLAIN, READABLE = RECIPES["plain"], RECIPES["readable"]
QUICK = replace(READABLE, steps=8)
LINEAR = Architecture(
    name="linear",
    input_shape=(3, 5, 4),
    layers=(),
    heads=(Head(layers=(Flatten("flat"), Dense("logits", 3))),),
)


def linear_network(engine: Engine = "numpy") -> tuple[Network, np.ndarray]:
    """A network that is one matrix (3, 60), and the matrix; no weight is nearly 0."""
    network = engines.build(LINEAR, engine=engine, seed=2)
    rng = generator(0, "matrix")
    weight = rng.uniform(0.2, 1, (3, 60)) * rng.choice([-1, 1], (3, 60))
    changed = {"logits.weight": weight.astype(np.float32)}
    return network.with_parameters(changed), weight


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_the_picture_of_a_linear_class_is_the_known_optimum(engine: Engine) -> None:
    network, weight = linear_network(engine)
    recipe = replace(PLAIN, steps=60, rate=0.08)
    found = maximise(network, ClassLogit("class", (0, 1, 2)), recipe=recipe)
    # A sum of w x over pixels x in [0, 1] is largest where x is 1 for w > 0, and 0 for w < 0.
    best = (weight.reshape(3, 3, 5, 4) > 0) * 255
    np.testing.assert_array_equal(found.pictures, best)
    bias = network.parameters()["logits.bias"]
    np.testing.assert_allclose(found.reached, weight.clip(0).sum(axis=1) + bias, rtol=1e-5)


def test_frequencies_and_colours_lead_to_the_same_optimum_of_a_linear_class() -> None:
    network, weight = linear_network()
    recipe = replace(READABLE, steps=300, rate=0.8, jitter=0.0, zoom=0.0, blur=0.0)
    found = maximise(network, ClassLogit("class", (0, 1, 2)), recipe=recipe)
    bias = network.parameters()["logits.bias"]
    best = weight.clip(0).sum(axis=1) + bias
    share = (found.reached - found.started) / (best - found.started)
    assert (share > 0.9).all(), share


@pytest.mark.parametrize("engine", ["torch", "numpy"])
@pytest.mark.parametrize("name", ["plain", "readable"])
@pytest.mark.parametrize(
    "target",
    [
        Channel("conv2", (0, 3, 5, 7)),
        Channel("dense", (0, 1)),
        Neuron("conv1", (0, 2), (1, 3), (5, 0)),
        ClassLogit("class", (0, 1, 2, 3)),
        ClassLogit("odd", (0, 1)),
    ],
    ids=lambda target: f"{type(target).__name__}",
)
def test_ascent_raises_what_it_climbs(
    build: Build, engine: Engine, name: str, target: Target
) -> None:
    network = build(CHAIN, engine)
    found = maximise(network, target, recipe=replace(RECIPES[name], steps=24))
    alive = ~found.is_silent
    assert alive.any()
    assert (found.reached[alive] > found.started[alive]).all()
    assert np.isfinite(found.history).all()
    assert found.pictures.dtype == np.uint8
    assert found.history.shape == (24, count(target))


def test_a_plain_climb_is_steady(build: Build) -> None:
    found = maximise(build(CHAIN), ClassLogit("class", (0, 1, 2, 3)), recipe=PLAIN)
    rises = np.diff(found.history, axis=0) > 0
    assert rises.mean() > 0.95


def test_the_values_are_those_of_the_pictures_as_they_are_given(build: Build) -> None:
    network = build(CHAIN)
    found = maximise(network, Channel("conv2", (1, 4)), recipe=QUICK)
    with network.trace(found.pictures, layers=["conv2"]) as trace:
        maps = trace.activations["conv2"]
    expected = [maps[0, 1].mean(), maps[1, 4].mean()]
    np.testing.assert_allclose(found.reached, expected, rtol=1e-10)
    np.testing.assert_allclose(found.peaks, [maps[0, 1].max(), maps[1, 4].max()], rtol=1e-10)


def test_an_adopted_network_is_climbed_too() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    network = adopt(module, input_shape=(1, 12, 12))
    found = maximise(network, Channel("0", (0, 1, 2, 3)), recipe=QUICK)
    assert (found.reached > found.started).all()


def test_the_same_seed_gives_the_same_bytes_and_another_another_picture(build: Build) -> None:
    network = build(BRANCHES)
    target = Channel("join", (0, 1, 2))
    first, again, other = (maximise(network, target, recipe=QUICK, seed=seed) for seed in (4, 4, 5))
    assert first.pictures.tobytes() == again.pictures.tobytes()
    assert first.pictures.tobytes() != other.pictures.tobytes()


def test_a_picture_does_not_depend_on_which_others_are_drawn(build: Build) -> None:
    network = build(CHAIN)
    together = maximise(network, Channel("conv2", (0, 1, 2, 3, 4)), recipe=QUICK, batch=2)
    alone = maximise(network, Channel("conv2", 3), recipe=QUICK)
    np.testing.assert_array_equal(together.pictures[3], alone.pictures[0])


def silent_network() -> Network:
    """Filter 0 is held down by its bias, filter 1 has no weights at all, filter 2 fires."""
    architecture = Architecture(
        name="silent",
        input_shape=(1, 8, 8),
        layers=(Conv2d("conv", 3, activation="relu"),),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 2))),),
    )
    weight = np.ones((3, 1, 3, 3), dtype=np.float32)
    weight[1] = 0
    bias = np.array([-6, 0, 0], dtype=np.float32)
    return engines.build(architecture, engine="numpy").with_parameters(
        {"conv.weight": weight, "conv.bias": bias}
    )


def test_a_filter_that_gray_does_not_excite_finds_its_way_past_the_relu() -> None:
    found = maximise(silent_network(), Channel("conv", (0, 2)), recipe=PLAIN)
    assert found.started[0] == 0
    assert not found.is_silent.any()
    assert found.reached[0] > 1


def test_a_filter_without_weights_is_silent_and_its_picture_is_gray() -> None:
    for recipe in (PLAIN, QUICK):
        found = maximise(silent_network(), Channel("conv", (1, 2)), recipe=recipe)
        assert found.is_silent.tolist() == [True, False]
        assert found.reached[0] == 0
        assert np.ptp(found.pictures[0].astype(int)) < 16
        assert np.isfinite(found.history).all()


def test_maps_of_one_cell_and_pictures_of_one_pixel_are_no_special_case() -> None:
    architecture = Architecture(
        name="pixel",
        input_shape=(1, 1, 1),
        layers=(Conv2d("conv", 2, kernel_size=1),),
        heads=(Head(layers=(Flatten("flat"), Dense("dense", 2))),),
    )
    network = engines.build(architecture, engine="numpy").with_parameters(
        {"conv.weight": np.array([1, -1], dtype=np.float32).reshape(2, 1, 1, 1)}
    )
    for name in RECIPES:
        recipe = replace(RECIPES[name], steps=200)
        found = maximise(network, Channel("conv", (0, 1)), recipe=recipe)
        assert found.pictures[0].item() > 200
        assert found.pictures[1].item() < 55


def test_progress_counts_steps_over_all_batches(build: Build) -> None:
    told: list[tuple[int, int]] = []
    maximise(
        build(CHAIN),
        Channel("conv1", (0, 1, 2)),
        recipe=replace(PLAIN, steps=3),
        batch=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(step, 6) for step in range(1, 7)]


def test_targets_have_an_index_per_picture() -> None:
    neuron = Neuron("conv", (1, 2, 3), 0, (7, 8, 9))
    assert count(neuron) == 3
    assert part(neuron, (1, 2)) == Neuron("conv", (2, 3), (0, 0), (8, 9))
    assert words_of(Channel("conv", (4, 5))) == [("Channel", "conv", 4), ("Channel", "conv", 5)]
    with pytest.raises(SettingsError, match=r"needs an index per picture, got 1, 2, 3 of them"):
        count(Neuron("conv", (1, 2), (1, 2, 3), 0))


@pytest.mark.parametrize(
    ("target", "error", "sentence"),
    [
        (Channel("conv9", 0), UnknownNameError, "no layer 'conv9': did you mean 'conv"),
        (Channel("conv1", 6), SettingsError, "channel must be from 0 to 5, got 6"),
        (ClassLogit("klass", 0), UnknownNameError, "no head 'klass': did you mean 'class'?"),
        (ClassLogit("class", 9), SettingsError, "classes must be from 0 to 3, got 9"),
    ],
)
def test_what_is_not_there_is_named(
    build: Build, target: Target, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        maximise(build(CHAIN), target, recipe=QUICK)


def test_settings_out_of_range_are_refused(build: Build) -> None:
    with pytest.raises(SettingsError, match="steps must lie in 1 to 10,000, got 0"):
        replace(PLAIN, steps=0)
    with pytest.raises(SettingsError, match="rate must be above 0, got 0"):
        replace(PLAIN, rate=0)
    with pytest.raises(SettingsError, match="jitter is a share of the picture's side"):
        replace(PLAIN, jitter=3)
    with pytest.raises(SettingsError, match="batch must be at least 1 picture, got 0"):
        maximise(build(CHAIN), Channel("conv1", 0), batch=0)
    with pytest.raises(UnknownNameError, match="there is no start 'black'"):
        maximise(build(CHAIN), Channel("conv1", 0), start="black")  # type: ignore[arg-type]


def test_weights_that_are_no_numbers_end_in_a_sentence() -> None:
    network = silent_network().with_parameters(
        {"conv.bias": np.array([np.nan, 0, 0], dtype=np.float32)}
    )
    with pytest.raises(ExplainError, match="'conv': gradient ascent needs finite activations"):
        maximise(network, Channel("conv", (0, 1)), recipe=QUICK)


def test_blur_goes_in_the_first_half_of_the_steps() -> None:
    recipe = Recipe(title="", sentence="", paints="frequencies", steps=10, rate=1, blur=0.1)
    found = [recipe.blur_at(step, 50) for step in range(10)]
    assert found[0] == 5
    assert found[5:] == [0, 0, 0, 0, 0]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 9)])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_no_precision_size_or_weights_give_anything_but_numbers(
    precision: Precision, size: tuple[int, int], scale: float
) -> None:
    architecture = Architecture(
        name="tiny",
        input_shape=(3, *size),
        layers=(Conv2d("conv", 2, kernel_size=1, activation="relu"), BatchNorm("norm")),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 2))),),
    )
    network = engines.build(architecture, engine="torch", device="cpu", precision=precision)
    weights = {n: v * scale for n, v in network.parameters().items() if n.endswith("weight")}
    network = network.with_parameters(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for recipe in (PLAIN, QUICK):
            for target in (Channel("norm", (0, 1)), ClassLogit("class", (0, 1))):
                found = maximise(network, target, recipe=replace(recipe, steps=3))
                for values in (found.started, found.reached, found.peaks, found.history):
                    assert np.isfinite(values).all()

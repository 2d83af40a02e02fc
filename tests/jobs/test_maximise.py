"""Favourite inputs from a run to its files: what is chosen, asked, compared, kept and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import draw_folder

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Activation, Conv2d, Dense, Flatten, GlobalAvgPool
from convoscope.errors import RunError, SettingsError, UnknownNameError
from convoscope.jobs.inside import channels_of, guide_for, sized
from convoscope.jobs.maximise import favourite_inputs, maximise_into
from convoscope.jobs.maximise_request import MaximiseRequest, groups_of
from convoscope.jobs.train import train
from convoscope.jobs.trained import trained_network
from convoscope.network import Channel, ClassLogit, Neuron, Precision
from convoscope.runs import Run
from convoscope.runs.lock import holding

TINY = """\
name: tiny
input_shape: [3, 16, 16]
layers:
- {kind: conv2d, name: conv1, filters: 4, activation: relu}
- {kind: max_pool2d, name: pool1}
- {kind: conv2d, name: conv2, filters: 6, activation: relu}
heads:
  class:
    layers:
    - {kind: global_avg_pool, name: pool}
    - {kind: dense, name: dense, units: 3}
"""
QUICK = MaximiseRequest(steps=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three shapes, hardly learnt, on the NumPy engine."""
    folder = tmp_path_factory.mktemp("maximised")
    draw_folder(folder / "shapes", classes=("bars", "poles", "disc"), per_class=8)
    (folder / "tiny.yaml").write_text(TINY)
    return train(
        folder / "shapes",
        model=folder / "tiny.yaml",
        out=folder / "run",
        epochs=1,
        batch=8,
        engine="numpy",
    )


@pytest.fixture
def shapes(run: Run) -> Path:
    """What the run was trained on."""
    return run.path.parent / "shapes"


def test_a_run_without_words_gets_the_filters_of_its_last_layer_of_maps(run: Run) -> None:
    (drawn,) = favourite_inputs(run, request=QUICK)
    assert drawn.group.target == Channel("conv2", (0, 1, 2, 3, 4, 5))
    assert drawn.found.pictures.shape == (6, 3, 16, 16)
    assert drawn.real is None


def test_layers_filters_classes_and_neurons_are_groups(run: Run) -> None:
    request = MaximiseRequest(
        layers=("all",), filters="0-1,3", classes=("disc", "0"), neurons=("conv1:1,2,3",)
    )
    with pytest.raises(SettingsError, match="layer 'dense' has 3 channels, got 3"):
        groups_of(request, trained_network(run), {"class": ("bars", "disc", "poles")})
    request = MaximiseRequest(
        layers=("all",), filters="0-1", classes=("disc", "0"), neurons=("conv1:1,2,3",)
    )
    groups = groups_of(request, trained_network(run), {"class": ("bars", "disc", "poles")})
    assert [group.title for group in groups] == [
        "conv1",
        "conv2",
        "dense",
        "neurons of conv1",
        "classes of class",
    ]
    assert groups[3].target == Neuron("conv1", (1,), (2,), (3,))
    assert groups[4].target == ClassLogit("class", (1, 0))
    assert groups[4].names == ("disc", "bars")
    assert (groups[0].of, groups[4].of) == (4, 3)


def test_each_value_stands_beside_that_of_the_strongest_real_image(run: Run, shapes: Path) -> None:
    request = MaximiseRequest(layers=("conv1",), classes=("all",), steps=2)
    filters, classes = favourite_inputs(run, request=request, beside=shapes)
    network = trained_network(run)
    files = sorted(shapes.rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files]).transpose(0, 3, 1, 2)
    with network.trace(pixels, layers=["conv1"]) as trace:
        means = trace.activations["conv1"].mean(axis=(2, 3))
        logits = trace.logits["class"]
    assert filters.real is not None
    assert classes.real is not None
    np.testing.assert_allclose(filters.real, means.max(axis=0), rtol=1e-5)
    np.testing.assert_allclose(classes.real, logits.max(axis=0), rtol=1e-5)
    assert filters.real_ids[0] == str(files[int(means[:, 0].argmax())].relative_to(shapes))


def test_what_is_drawn_is_kept_with_a_manifest(run: Run) -> None:
    folder = maximise_into(None, run, request=QUICK)
    assert folder.path == run.path / "favourites" / "1"
    (group,) = folder.facts["groups"]
    assert [each["name"] for each in group["pictures"]] == list("012345")
    arrays = folder.arrays()
    assert arrays["conv2/pictures"].shape == (6, 3, 16, 16)
    assert arrays["conv2/history"].shape == (3, 6)
    for shown in folder.manifest["pictures"]:
        assert (folder.path / shown["file"]).exists()
    one = np.asarray(Image.open(folder.path / "conv2" / "3.png"))
    np.testing.assert_array_equal(one.transpose(2, 0, 1), arrays["conv2/pictures"][3])
    assert folder.facts["command"] == [
        "convoscope",
        "maximise",
        str(run.path),
        "--steps=3",
    ]
    assert maximise_into(None, run, request=QUICK).path.name == "2"


def test_another_size_asks_the_same_filters(run: Run) -> None:
    network = trained_network(run)
    smaller = sized(network, "conv1", 9)
    assert smaller.architecture.input_shape == (3, 9, 9)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 16, 16), dtype=np.uint8)
    with network.trace(pixels, layers=["conv1"]) as whole:
        expected = whole.activations["conv1"][:, :, :7, :7]
    with smaller.trace(pixels[:, :, :9, :9], layers=["conv1"]) as part:
        np.testing.assert_allclose(part.activations["conv1"], expected, rtol=1e-5, atol=1e-6)
    assert sized(network, "conv1", 16) is network
    request = MaximiseRequest(layers=("conv1",), filters="0", steps=2, size=20)
    (drawn,) = favourite_inputs(run, request=request)
    assert drawn.found.pictures.shape == (1, 3, 20, 20)


def test_a_filter_that_its_bias_holds_down_is_guided_by_what_is_before_its_relu(run: Run) -> None:
    network = trained_network(run)
    free = guide_for(network, "conv2")
    assert free is not None
    gray = np.full((1, 3, 16, 16), 128, dtype=np.uint8)
    with free.network.trace(gray, layers=["conv2"]) as trace:
        answer = float(trace.activations["conv2"][0, 0].max())
    bias = network.parameters()["conv2.bias"].copy()
    bias[0] -= answer + 0.02
    held = network.with_parameters({"conv2.bias": bias})
    guide = guide_for(held, "conv2")
    assert guide is not None
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)
    with held.trace(pixels, layers=["conv2"]) as trace:
        rectified = trace.activations["conv2"]
    with guide.network.trace(pixels, layers=["conv2"]) as trace:
        before = trace.activations["conv2"]
    np.testing.assert_allclose(np.maximum(before, 0), rectified, rtol=1e-5, atol=1e-6)
    assert (before < 0).any()
    assert guide_for(held, "pool1") is None
    (drawn,) = favourite_inputs(
        held, request=MaximiseRequest(layers=("conv2",), filters="0", recipe="plain", rate=0.05)
    )
    assert drawn.found.started[0] == 0
    assert drawn.found.reached[0] > 0
    assert not drawn.found.is_silent[0]


def test_before_an_activation_of_its_own_stands_the_layer_before() -> None:
    architecture = Architecture(
        name="apart",
        input_shape=(1, 6, 6),
        layers=(Conv2d("conv", 2), Activation("relu")),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 2))),),
    )
    network = engines.build(architecture, engine="numpy")
    guide = guide_for(network, "relu")
    assert guide is not None
    assert (guide.network, guide.layer) == (network, "conv")
    assert guide_for(network, "conv") is None


def test_a_unit_of_a_head_is_guided_by_what_is_before_its_relu() -> None:
    architecture = Architecture(
        name="headed",
        input_shape=(1, 6, 6),
        layers=(Conv2d("conv", 2),),
        heads=(
            Head(layers=(Flatten("flat"), Dense("dense1", 3, activation="relu"), Dense("out", 2))),
        ),
    )
    network = engines.build(architecture, engine="numpy", seed=1)
    held = network.with_parameters({"dense1.bias": np.full(3, -5, dtype=np.float32)})
    guide = guide_for(held, "dense1")
    assert guide is not None
    pixels = np.random.default_rng(0).random((2, 1, 6, 6), dtype=np.float32)
    with guide.network.trace(pixels, layers=["dense1"]) as trace:
        before = trace.activations["dense1"]
    with network.trace(pixels, layers=["conv"]) as trace:
        maps = trace.activations["conv"].reshape(2, -1)
    expected = maps @ network.parameters()["dense1.weight"].T - 5
    np.testing.assert_allclose(before, expected, rtol=1e-4, atol=1e-5)
    request = MaximiseRequest(layers=("dense1",), recipe="plain", rate=0.05)
    (drawn,) = favourite_inputs(held, request=request)
    assert not drawn.found.started.any()
    assert (drawn.found.reached > 0).all()
    assert not drawn.found.is_silent.any()
    assert guide_for(held, "out") is None


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_other_sizes_and_guides_are_computed_where_and_as_exactly_as_the_network(
    precision: Precision,
) -> None:
    architecture = Architecture(
        name="plain",
        input_shape=(1, 8, 8),
        layers=(Conv2d("conv", 2, activation="relu"),),
        heads=(Head(layers=(GlobalAvgPool("pool"), Dense("dense", 2))),),
    )
    network = engines.build(architecture, engine="torch", device="cpu", precision=precision)
    guide, small = guide_for(network, "conv"), sized(network, "conv", 5)
    assert guide is not None
    for other in (guide.network, small):
        assert (other.engine, other.device, other.precision) == ("torch", "cpu", precision)


def test_filters_are_named_by_numbers_and_ranges() -> None:
    assert channels_of("0-2, 5,1", "conv", 8) == (0, 1, 2, 5)
    assert channels_of("all", "conv", 3) == (0, 1, 2)
    for words in ("x", "3-1", "", "1;2"):
        with pytest.raises(SettingsError, match="filters are named by numbers and ranges, got"):
            channels_of(words, "conv", 8)


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        ({"layers": ("conv9",)}, UnknownNameError, "there is no layer 'conv9'"),
        ({"layers": ("conv1",), "filters": "4"}, SettingsError, "has 4 channels, got 4"),
        ({"classes": ("cat",)}, UnknownNameError, "there is no class 'cat'"),
        ({"classes": ("0",), "head": "x"}, UnknownNameError, "there is no head 'x'"),
        ({"neurons": ("conv1:99,0,0",)}, SettingsError, "the maps of 'conv1' have"),
        ({"layers": ("dense",), "size": 8}, SettingsError, "only layers of maps of a network's"),
        ({"layers": ("conv2",), "size": 3}, SettingsError, "--size 3: 'conv2' needs images"),
        ({"classes": ("0",), "size": 8}, SettingsError, "a class is asked of the whole network"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_a_folder_is_made(
    run: Run, tmp_path: Path, words: dict[str, object], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        maximise_into(tmp_path / "out", run, request=MaximiseRequest(**words))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"recipe": "nice"}, "there is no recipe 'nice': known are plain, readable"),
        ({"size": 0}, "size must be at least 1 pixel, got 0"),
        ({"batch": 0}, "batch must be at least 1 picture, got 0"),
        ({"steps": 0}, "steps must lie in 1 to 10,000, got 0"),
        ({"filters": "0", "classes": ("0",)}, "--filters '0' says which filters of a layer"),
    ],
)
def test_a_request_is_checked_when_it_is_made(words: dict[str, object], sentence: str) -> None:
    with pytest.raises((SettingsError, UnknownNameError), match=sentence):
        MaximiseRequest(**words)  # type: ignore[arg-type]


def test_one_network_must_be_named_and_a_folder_of_its_own(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="maximise: one network must be named, a run, or a"):
        maximise_into(None)
    with pytest.raises(SettingsError, match=r"--beside .*: filters and classes are compared"):
        maximise_into(None, run, request=MaximiseRequest(neurons=("conv1:0,0,0",)), beside=tmp_path)
    (tmp_path / "file.txt").write_text("mine")
    with pytest.raises(RunError, match="needs a folder of its own"):
        maximise_into(tmp_path, run, request=QUICK)


def test_layers_that_were_drawn_before_it_was_stopped_are_not_drawn_again(
    run: Run, tmp_path: Path
) -> None:
    request = MaximiseRequest(layers=("conv1", "conv2"), steps=3)
    told: list[str] = []

    def stop(stage: str, done: int, total: int) -> None:
        told.append(stage)
        if stage.startswith("conv2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maximise_into(tmp_path / "out", run, request=request, progress=stop)
    other = MaximiseRequest(layers=("conv1", "conv2"), steps=4)
    with pytest.raises(RunError, match="this one holds other files"):
        maximise_into(tmp_path / "out", run, request=other)
    told.clear()
    found = maximise_into(
        tmp_path / "out", run, request=request, progress=lambda stage, *_: told.append(stage)
    )
    assert {stage.partition(" ")[0] for stage in told} == {"conv2"}
    never_stopped = maximise_into(tmp_path / "whole", run, request=request)
    for name, values in never_stopped.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], values)
    left = {file.name for file in found.path.iterdir()}
    assert left == {file.name for file in never_stopped.path.iterdir()}


def test_without_a_name_a_stopped_folder_is_found_again_unless_somebody_is_at_it(run: Run) -> None:
    request = MaximiseRequest(layers=("conv2",), steps=2, seed=77)

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maximise_into(None, run, request=request, progress=stop)
    (stopped,) = (run.path / "favourites").glob("*/unfinished.json")
    with holding(stopped.parent):
        beside = maximise_into(None, run, request=request)
    assert beside.path != stopped.parent
    assert maximise_into(None, run, request=request).path == stopped.parent
    assert not stopped.exists()

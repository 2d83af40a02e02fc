"""Both engines on one network: they agree, and where they do not it is found and said."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convoscope.architecture.branches import Residual
from convoscope.architecture.files import to_yaml
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d
from convoscope.errors import (
    RunError,
    SettingsError,
    UnknownNameError,
    UnreadableImageError,
)
from convoscope.jobs.likeness import Difference, Twin, difference, parameter_twins
from convoscope.jobs.twin import twin
from convoscope.runs import Run, RunRecord


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Conv, batch norm, a residual branch, pooling, and two heads, one of them a sigmoid's."""
    block = Residual("block", (Conv2d("inner", 4, padding=1),), activation="relu")
    layers = (Conv2d("conv", 4, activation="relu"), BatchNorm("norm"), block, MaxPool2d("pool"))
    heads = (
        Head(name="kind", layers=(Flatten("flat"), Dense("kinds", 3))),
        Head(name="sign", layers=(Flatten("flat2"), Dense("signs", 1)), output="sigmoid"),
    )
    network = Architecture(name="mixed", input_shape=(3, 12, 10), layers=layers, heads=heads)
    file = tmp_path / "mixed.yaml"
    file.write_text(to_yaml(network))
    return file


@pytest.fixture
def flat_picture(tmp_path: Path) -> Path:
    """Two areas of one colour each: under nearly every maximum all values are equal."""
    pixels = np.full((40, 40, 3), 250, np.uint8)
    pixels[10:20, 5:30] = (30, 80, 200)
    file = tmp_path / "flat.png"
    Image.fromarray(pixels).save(file)
    return file


def test_float64_agrees_to_the_last_digits(net: Path) -> None:
    found = twin(net, precision="float64", cell="inner:3,4,1")
    assert found.agrees
    assert max((found.forward | found.backward).values()) < 1e-12
    assert [layer.name for layer in found.layers] == (
        ["image", "conv", "norm", "inner", "block", "pool", "flat", "kinds", "flat2", "signs"]
    )
    assert {p.name for p in found.parameters} >= {"inner.weight", "signs.bias", "norm.running_var"}
    assert found.verdict.startswith(
        "NumPy and PyTorch agree: over 9 layers and 12 parameters the largest relative difference "
    )
    assert found.verdict.endswith("within 1e-09 for float64")


def test_every_gradient_that_is_compared_is_one(net: Path) -> None:
    """Nothing agrees because it is zero on both sides."""
    found = twin(net, precision="float32")
    assert found.agrees
    assert any(value > 0 for value in found.backward.values())
    assert all(layer.gradient is not None for layer in found.layers)
    assert found.targets.keys() == {"kind", "sign"}


def test_flat_parts_of_a_picture_make_no_difference(net: Path, flat_picture: Path) -> None:
    found = twin(net, precision="float64", image=flat_picture)
    assert found.agrees, found.verdict
    assert found.picture == str(flat_picture)


def test_without_gradients_there_are_none(net: Path) -> None:
    found = twin(net, gradients=False)
    assert found.backward == {}
    assert found.agrees
    assert "over 9 layers the largest" in found.verdict


def test_a_network_without_heads_is_compared_too(tmp_path: Path) -> None:
    network = Architecture(name="t", input_shape=(1, 6, 6), layers=(Conv2d("c", 2),))
    (tmp_path / "t.yaml").write_text(to_yaml(network))
    found = twin(tmp_path / "t.yaml", precision="float64")
    assert found.agrees
    assert found.parameters == ()
    assert found.layers[0].gradient is not None


def test_a_run_is_opened_with_its_own_weights(net: Path, tmp_path: Path) -> None:
    from convoscope import engines
    from convoscope.architecture.files import read

    architecture = read(net)
    network = engines.build(architecture, engine="numpy", seed=5)
    run = Run(tmp_path / "run")
    record = RunRecord(kind="train", settings={}, command=(), seed=0, started="", status="finished")
    run.write_record(record)
    preprocessing = {
        "size": [12, 10],
        "resize": "squash",
        "order": "bgr",
        "mean": [0.5],
        "sd": [0.2],
    }
    run.write_model(net.read_text(), network.parameters(), {"preprocessing": preprocessing})
    found = twin(run.path, precision="float64", cell="conv:1,2,3")
    assert found.agrees, found.verdict
    assert found.cell is not None
    weights = found.cell.arithmetic.weights
    assert weights is not None
    expected = network.parameters()["conv.weight"][3].transpose(1, 2, 0).ravel()
    np.testing.assert_array_equal(weights, expected)
    with pytest.raises(SettingsError, match="leave --input and --classes away"):
        twin(run.path, input="24")
    run.write_record(replace(record, kind="convolve"))
    with pytest.raises(RunError, match="which trained no network: name another"):
        twin(run.path)


def test_a_wrong_engine_is_found(net: Path) -> None:
    found = twin(net)
    wrong = Difference(absolute=0.5, relative=0.1)
    layers = [replace(x, activation=wrong) if x.name == "pool" else x for x in found.layers]
    broken = replace(found, layers=tuple(layers))
    assert not broken.agrees
    assert broken.verdict == (
        "NumPy and PyTorch differ: over 9 layers and 12 parameters the largest relative difference "
        "is 1.0e-01 (output of pool), more than 1e-04 for float32: --precision float64 tells "
        "rounding from a mistake"
    )
    assert replace(broken, precision="float64").verdict.endswith("for float64: one is wrong")
    # Gradients that agree in float64 do not excuse outputs.
    assert not replace(broken, in_float64=1e-15).agrees


def split_gradients(found: Twin, relative: float) -> Twin:
    worse = Difference(absolute=relative, relative=relative)
    return replace(found, layers=(replace(found.layers[0], gradient=worse), *found.layers[1:]))


def test_gradients_that_tie_in_float32_are_settled_in_float64(net: Path) -> None:
    found = split_gradients(twin(net), 0.3)
    assert found.has_split_gradients
    assert not found.agrees
    settled = replace(found, in_float64=2e-15)
    assert settled.agrees
    assert "rounding decides which one gets a gradient" in settled.verdict
    assert "but in float64 2.0e-15" in settled.verdict
    assert not replace(found, in_float64=1e-3).agrees


def test_differences() -> None:
    a, b = np.array([1.0, -4.0]), np.array([1.5, -5.0])
    assert difference(a, b) == Difference(absolute=1.0, relative=0.2)
    assert difference(a * 0, b * 0) == Difference(absolute=0.0, relative=0.0)
    assert difference(a, b * 0).relative == math.inf
    assert math.isnan(difference(np.array([np.nan]), np.array([1.0])).relative)


def test_a_gradient_that_cancels_is_measured_by_its_layer(tmp_path: Path) -> None:
    """Between a centred map and a batch norm no shift is felt: what is left of it is rounding."""
    layers = (
        Conv2d("expand", 6, kernel_size=1, bias=False),
        BatchNorm("norm1"),
        Conv2d("project", 4, kernel_size=1, bias=True),
        BatchNorm("norm2"),
    )
    head = Head(name="kind", layers=(Flatten("flat"), Dense("kinds", 3)))
    network = Architecture(name="c", input_shape=(3, 6, 5), layers=layers, heads=(head,))
    file = tmp_path / "cancelling.yaml"
    file.write_text(to_yaml(network))
    found = twin(file, precision="float64")
    by_name = {parameter.name: parameter.gradient for parameter in found.parameters}
    for name in ("norm1.bias", "project.bias"):
        assert by_name[name].absolute < 1e-12
    assert found.agrees, found.verdict


def test_a_wrong_bias_is_found_beside_a_right_weight() -> None:
    theirs = {
        "norm.weight": np.array([2.0, 4.0]),
        "norm.bias": np.array([1e-17, 1e-3]),
        "norm.running_mean": np.array([1e-17, 0.0]),
        "norm.running_var": np.array([9.0, 1.0]),
    }
    ours = {name: values.copy() for name, values in theirs.items()}
    ours["norm.bias"] *= 2
    ours["norm.running_mean"] *= -2
    ours["norm.running_var"][1] = 1.9
    relative = {twin.name: twin.gradient.relative for twin in parameter_twins(ours, theirs)}
    assert relative == pytest.approx(
        {
            "norm.weight": 0,
            "norm.bias": 1e-3 / 4,
            "norm.running_mean": 1e-17,
            "norm.running_var": 0.1,
        }
    )


def test_not_a_number_never_agrees(net: Path) -> None:
    found = split_gradients(twin(net), math.nan)
    assert not found.agrees
    assert "is nan (gradient at image)" in found.verdict


def test_what_cannot_be_asked(net: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="there is no layer 'konv': did you mean 'conv'"):
        twin(net, cell="konv:0,0,0")
    with pytest.raises(UnknownNameError, match="no precision of both engines 'bfloat16'"):
        twin(net, precision="bfloat16")
    (tmp_path / "letter.jpg").write_text("dear")
    with pytest.raises(UnreadableImageError, match=r"letter.jpg: an image must be readable"):
        twin(net, image=tmp_path / "letter.jpg")
    wide = Architecture(name="w", input_shape=(5, 6, 6), layers=(Conv2d("c", 2),))
    (tmp_path / "w.yaml").write_text(to_yaml(wide))
    with pytest.raises(SettingsError, match="the network takes 5: leave --image away"):
        twin(tmp_path / "w.yaml", image=tmp_path / "letter.jpg")

"""What ``twin`` prints: a line per layer, one cell's numbers, a verdict, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope

import convoscope.jobs.likeness as likeness


def numbers(line: str) -> list[float]:
    """Every number of a line."""
    found = []
    for word in line.replace(";", " ").split():
        try:
            found.append(float(word))
        except ValueError:
            continue
    return found


def test_a_line_for_every_layer_and_parameter(convoscope: Convoscope, tiny: Path) -> None:
    result = convoscope("twin", tiny)
    assert result.exit_code == 0, result.stdout
    lines = [line.split() for line in result.stdout.splitlines() if line]
    assert result.stdout.startswith("tiny, input 3x16x16, float32: NumPy against PyTorch on\n")
    names = [line[0] for line in lines]
    for name in ("image", "conv", "dropout", "pool", "dense", "conv.weight", "dense.bias"):
        assert names.count(name) == 1
    assert lines[names.index("conv")][1:3] == ["conv2d", "4x14x14"]
    assert result.stdout.splitlines()[-1].startswith("NumPy and PyTorch agree: over 4 layers")


def test_a_cell_adds_up_as_printed(convoscope: Convoscope, tiny: Path) -> None:
    result = convoscope("twin", tiny, "--cell", "conv:3,4,2", "--no-gradients")
    lines = result.stdout.splitlines()
    products = [numbers(line.split("=")[1]) for line in lines if line.startswith("row ")]
    assert np.shape(products) == (9, 3)
    said = dict(line.rsplit("  ", 1) for line in lines if line.startswith(("sum", "NumPy has")))
    total = next(float(v) for k, v in said.items() if k.startswith("sum of 27 products"))
    assert np.sum(products) == pytest.approx(total, abs=27 * 0.00005)
    assert any(line.startswith("columns 4 to 6; products sum to") for line in lines)


def test_a_padding_of_zeros_has_no_sign(convoscope: Convoscope) -> None:
    printed = convoscope("twin", "lenet-5", "--cell", "conv1:0,0,0", "--no-gradients").stdout
    (row,) = [line for line in printed.splitlines() if line.startswith("row -2")]
    assert row.split("=")[1].split() == ["0.0000"] * 5
    assert "-0.0000" not in printed


def test_of_many_terms_the_largest_are_shown(convoscope: Convoscope) -> None:
    words = ("twin", "lenet-5", "--cell", "dense1:7", "--no-gradients")
    few, every = convoscope(*words).stdout, convoscope(*words, "--all").stdout
    assert "the other 388 terms to" in few
    assert "sum of 400 products" in few
    assert len(every.splitlines()) - len(few.splitlines()) == 388 - 1


def test_json_holds_every_difference(convoscope: Convoscope, tiny: Path) -> None:
    result = convoscope("twin", tiny, "--precision", "float64", "--cell", "dense:1", "--json")
    said = json.loads(result.stdout)
    assert said["agrees"] is True
    assert [layer["name"] for layer in said["layers"]][:2] == ["image", "conv"]
    cell = said["cell"]
    total = np.dot(cell["values"], cell["weights"]) + cell["bias"]
    assert cell["output"] == pytest.approx(total)
    assert cell["engines"]["PyTorch"] == pytest.approx(total)


def test_engines_that_differ_end_with_1(
    convoscope: Convoscope, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room for rounding at all, they do."""
    monkeypatch.setitem(likeness.TOLERANCES, "float32", 0.0)
    result = convoscope("twin", tiny, "--no-gradients")
    assert result.exit_code == 1
    assert "NumPy and PyTorch differ" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--cell", "konv:0,0,0"), "there is no layer 'konv': did you mean 'conv'?"),
        (("--cell", "conv:14,0,0"), "which has rows 0 to 13, columns 0 to 13 and filters 0 to 3"),
        (("--cell", "conv"), "--cell must be LAYER:row,column,filter"),
        (("--all",), "--all belongs to --cell"),
        (("--input", "x"), "input must be CHANNELSxHEIGHTxWIDTH"),
        (("--image", "nothing.jpg"), "nothing.jpg: an image must be readable"),
        (("--precision", "bfloat16"), "'bfloat16' is not one of 'float32', 'float64'"),
    ],
)
def test_mistakes_are_one_sentence(
    convoscope: Convoscope, tiny: Path, words: tuple[str, ...], sentence: str
) -> None:
    result = convoscope("twin", tiny, *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1

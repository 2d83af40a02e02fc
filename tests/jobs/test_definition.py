"""The written-out arithmetic of a cell is what both engines compute, for every kind of layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from convoscope import engines
from convoscope.architecture.branches import AnyLayer, Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool2d,
    SeparableConv2d,
)
from convoscope.architecture.protocol import ActivationName
from convoscope.arrays import Array, FloatArray, generator
from convoscope.errors import SettingsError
from convoscope.jobs.cell import Cell, parse_cell
from convoscope.jobs.definition import check_cell, write_out

CHANNELS = 4


def written(layers: Sequence[AnyLayer], cell: Cell) -> tuple[float, float, Array]:
    """The definition's output of a cell in the last layer, the NumPy engine's, and the products."""
    if len(layers) == 1 and not layers[0].parameter_shapes((CHANNELS, 9, 8)):
        layers = [Conv2d("first", CHANNELS, kernel_size=1), *layers]
    architecture = Architecture(name="n", input_shape=(CHANNELS, 9, 8), layers=tuple(layers))
    network = engines.build(architecture, engine="numpy", precision="float64", seed=1)
    rng = generator(0, "parameters")
    # Drawn, so that biases and running statistics count too; all above 0 for the variances.
    drawn = {name: rng.random(a.shape) + 0.1 for name, a in network.parameters().items()}
    drawn = {n: a if "running" in n else a - 0.6 for n, a in drawn.items()}
    network = network.with_parameters(drawn)
    images = generator(0, "images").random((1, *architecture.input_shape))
    with network.trace(images, layers=network.layer_names) as trace:
        maps = {name: values[0] for name, values in trace.activations.items()}
    given: FloatArray = images[0] if len(layers) == 1 else maps[layers[-2].name]
    found = write_out(cell, architecture.place(cell.layer), given, network.parameters())
    out = maps[cell.layer]
    at = out[cell.filter] if out.ndim == 1 else out[cell.filter, cell.row, cell.column]
    return found.output, float(at), found.products


CASES: dict[str, tuple[Sequence[AnyLayer], Cell]] = {
    "conv": ([Conv2d("x", 3, activation="relu")], Cell(layer="x", row=2, column=3, filter=1)),
    "conv at the padded corner": (
        [Conv2d("x", 3, kernel_size=5, stride=2, padding="same")],
        Cell(layer="x", row=0, column=0, filter=2),
    ),
    "conv dilated": (
        [Conv2d("x", 3, dilation=2, padding=2)],
        Cell(layer="x", row=8, column=7, filter=0),
    ),
    "conv in groups": (
        [Conv2d("x", 6, groups=2, bias=False)],
        Cell(layer="x", row=1, column=1, filter=4),
    ),
    "conv of even size": (
        [Conv2d("x", 2, kernel_size=2)],
        Cell(layer="x", row=7, column=6, filter=1),
    ),
    "separable": (
        [SeparableConv2d("x", 5, padding=1, activation="elu")],
        Cell(layer="x", row=0, column=7, filter=3),
    ),
    "max pool": ([MaxPool2d("x")], Cell(layer="x", row=1, column=2, filter=3)),
    "max pool at the corner": (
        [MaxPool2d("x", kernel_size=3, stride=2, padding=1)],
        Cell(layer="x", row=0, column=0, filter=0),
    ),
    "avg pool at the corner": (
        [AvgPool2d("x", kernel_size=3, stride=2, padding=1)],
        Cell(layer="x", row=0, column=0, filter=0),
    ),
    "global max": ([GlobalMaxPool("x")], Cell(layer="x", row=0, column=0, filter=2)),
    "global avg": ([GlobalAvgPool("x")], Cell(layer="x", row=0, column=0, filter=2)),
    "batch norm": ([BatchNorm("x")], Cell(layer="x", row=4, column=5, filter=1)),
    "activation": ([Activation("x", "gelu")], Cell(layer="x", row=4, column=5, filter=1)),
    "dropout": ([Dropout("x")], Cell(layer="x", row=4, column=5, filter=1)),
    "flatten": ([Flatten("x")], Cell(layer="x", row=0, column=0, filter=100)),
    "dense": (
        [Flatten("f"), Dense("x", 7, activation="tanh")],
        Cell(layer="x", row=0, column=0, filter=6),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_definition_is_what_the_engine_computes(case: str) -> None:
    ours, engine, products = written(*CASES[case])
    assert ours == pytest.approx(engine, rel=1e-12, abs=1e-13)
    assert products.size


def test_every_layer_that_computes_itself_is_written_out() -> None:
    tried = {type(layers[-1]) for layers, _ in CASES.values()}
    own = {
        layer
        for layer in get_args(AnyLayer)
        if layer.__name__ not in ("Residual", "Parallel", "Adopted")
    }
    assert tried == own


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_activations_are_pytorchs(name: ActivationName) -> None:
    for x in (-3.7, -0.2, 0.0, 0.4, 7.5):
        architecture = Architecture(
            name="n", input_shape=(1, 1, 1), layers=(Activation("a", name),)
        )
        cell = Cell(layer="a", row=0, column=0, filter=0)
        found = write_out(cell, architecture.place("a"), np.full((1, 1, 1), x), {})
        theirs = getattr(torch.nn.functional, name)(torch.tensor(x, dtype=torch.float64))
        assert found.output == pytest.approx(float(theirs), rel=1e-12, abs=1e-15)


def test_a_convs_sum_is_scipys() -> None:
    architecture = Architecture(name="n", input_shape=(1, 9, 8), layers=(Conv2d("c", 1),))
    image, kernel = generator(0, "a").random((1, 9, 8)), generator(0, "b").random((1, 1, 3, 3))
    cell = Cell(layer="c", row=4, column=2, filter=0)
    parameters = {"c.weight": kernel, "c.bias": np.array([0.25])}
    found = write_out(cell, architecture.place("c"), image, parameters)
    expected = correlate2d(image[0], kernel[0, 0], mode="valid")
    assert found.output == pytest.approx(expected[4, 2] + 0.25)
    assert found.pixels[0].tolist() == [4, 2, 0]
    assert found.pixels[-1].tolist() == [6, 4, 0]


def test_parameters_of_a_layer_with_a_longer_name_are_not_mixed_up() -> None:
    layers = (Conv2d("c", 1, bias=False), Conv2d("c1", 1))
    architecture = Architecture(name="n", input_shape=(1, 9, 8), layers=layers)
    parameters = {"c.weight": np.ones((1, 1, 3, 3)), "c1.weight": np.zeros((1, 1, 3, 3))}
    cell = Cell(layer="c", row=0, column=0, filter=0)
    assert write_out(cell, architecture.place("c"), np.ones((1, 9, 8)), parameters).output == 9


def test_a_cell_is_read() -> None:
    assert parse_cell("conv1:10, 20,3") == Cell(layer="conv1", row=10, column=20, filter=3)
    assert parse_cell("dense:7") == Cell(layer="dense", row=0, column=0, filter=7)


@pytest.mark.parametrize(
    "text",
    [
        "conv1",
        "conv1:1,2",
        "conv1:1,2,3,4",
        "conv1:a,1,1",
        ":1,2,3",
        "conv1:-1,2,3",
        "conv1:1.5,2,3",
        "",
    ],
)
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--cell must be LAYER:row,column,filter such as"):
        parse_cell(text)


@pytest.mark.parametrize("at", [(7, 0, 0), (0, 6, 0), (0, 0, 2)])
def test_a_cell_outside_the_map_is_refused(at: tuple[int, int, int]) -> None:
    architecture = Architecture(name="n", input_shape=(1, 9, 8), layers=(Conv2d("c", 2),))
    cell = Cell(layer="c", row=at[0], column=at[1], filter=at[2])
    with pytest.raises(SettingsError) as caught:
        check_cell(cell, architecture.place("c"))
    assert str(caught.value) == (
        f"--cell {cell}: the cell must lie in the output of 'c', which has rows 0 to 6, columns 0 "
        "to 5 and filters 0 to 1: choose one of them"
    )


def test_a_unit_outside_the_vector_is_refused() -> None:
    head = Head(layers=(Flatten("f"), Dense("d", 3)))
    architecture = Architecture(name="n", input_shape=(1, 2, 2), layers=(), heads=(head,))
    with pytest.raises(SettingsError, match="'d', which has units 0 to 2: choose"):
        check_cell(parse_cell("d:3"), architecture.place("d"))


def test_a_layer_made_of_others_says_so() -> None:
    residual = Residual("r", (Conv2d("c", 1, padding=1),))
    architecture = Architecture(name="n", input_shape=(1, 4, 4), layers=(residual,))
    with pytest.raises(SettingsError, match="residual 'r' is made of other layers: name one of"):
        check_cell(parse_cell("r:0,0,0"), architecture.place("r"))

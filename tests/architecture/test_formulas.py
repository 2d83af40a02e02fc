"""The formulas are evaluated as they are printed, and compared with what the table counts."""

import itertools
import math
import re
from dataclasses import asdict
from fractions import Fraction

import pytest

from convoscope.architecture.analysis import Analysis, analyse
from convoscope.architecture.formulas import Formulas, formulas
from convoscope.architecture.graph import walk
from convoscope.architecture.zoo import make
from convoscope.architecture.zoo.flexible import Flexible, flexible, flexible_options

GRID: list[dict[str, object]] = [
    {
        "blocks": blocks,
        "filters": filters,
        "kernel_size": kernel_size,
        "organisation": organisation,
        "batch_norm": batch_norm,
        "dense_layers": dense_layers,
        "dense_width": 24,
    }
    for blocks, filters, kernel_size, organisation, batch_norm, dense_layers in itertools.product(
        (1, 3, 5), (10, 16, 32), (3, 5), (0.5, 1.0, 2.0), (False, True), (0, 1, 3)
    )
]


def evaluate(symbols: str, values: dict[str, int]) -> Fraction:
    """The number that a printed formula stands for."""
    text = re.sub(r"(\d)(?=[a-z])", r"\1*", symbols.replace("·", "*").replace("²", "**2"))
    text = re.sub(r"(?<![a-z])\b(\d+)\b", r"Fraction(\1)", text).replace("**Fraction(2)", "**2")
    return Fraction(eval(text, {"Fraction": Fraction, **values}))


def of_kind(analysis: Analysis, field: str, *kinds: str) -> int:
    return sum(getattr(row, field) for row in analysis.rows if row.kind in kinds)


def lines(counted: Formulas) -> dict[tuple[str, str], str]:
    return {(line.part, line.counts): line.symbols for line in counted.lines}


@pytest.mark.parametrize("shape", [(3, 256, 256), (1, 75, 50)])
def test_formulas_are_the_counted_numbers_all_over_a_grid(shape: tuple[int, ...]) -> None:
    for options in GRID:
        counted = formulas(flexible_options(options), input_shape=shape, classes=10)
        analysis = analyse(flexible(shape, **options))
        for line in (*counted.lines, counted.total("parameters"), counted.total("macs")):
            assert evaluate(line.symbols or "0", counted.symbols) == line.value, (options, line)
        assert counted.total("parameters").value == analysis.parameters, options
        assert counted.total("macs").value == analysis.macs, options


def test_each_part_is_what_its_layers_count() -> None:
    choice = Flexible(batch_norm=True, dense_layers=2, organisation=2.0, filters=8)
    net = make("flexible", classes=7, **asdict(choice))
    analysis = analyse(net)
    counted = formulas(choice, input_shape=(3, 256, 256), classes=7)
    values = {(line.part, line.counts): line.value for line in counted.lines}

    def size(parameter: str, *names: str) -> int:
        places = [place for place in walk(net) if place.layer.name in names]
        shapes = [place.layer.parameter_shapes(place.input_shape) for place in places]
        return sum(math.prod(shape[parameter]) for shape in shapes)

    convs = [f"conv{i}" for i in range(1, 6)]
    assert values["conv weights", "parameters"] == size("weight", *convs)
    assert values["conv biases", "parameters"] == size("bias", *convs)
    assert values["batch norm", "parameters"] == of_kind(analysis, "parameters", "batch_norm")
    assert values["dense weights", "parameters"] == size("weight", "dense1", "dense2")
    assert values["dense biases", "parameters"] == size("bias", "dense1", "dense2")
    assert values["output weights", "parameters"] == size("weight", "output") == 7 * 64
    assert values["output biases", "parameters"] == 7
    assert values["conv", "macs"] == of_kind(analysis, "macs", "conv2d")
    assert values["dense", "macs"] + values["output", "macs"] == of_kind(analysis, "macs", "dense")
    assert values["maps before flatten", "values"] == math.prod(net.place("pool5").output_shape)
    pooled = sum(math.prod(net.place(f"pool{i}").output_shape) for i in range(1, 6))
    assert values["max pooling", "comparisons"] == 3 * pooled


def test_five_equal_blocks_give_the_textbook_formulas() -> None:
    counted = formulas(Flexible(), input_shape=(3, 256, 256), classes=10)
    assert lines(counted) == {
        ("conv weights", "parameters"): "(3 + 4m)·m·k²",
        ("conv biases", "parameters"): "5m",
        ("batch norm", "parameters"): "0",
        ("maps before flatten", "values"): "64·m",
        ("dense weights", "parameters"): "64·m·n",
        ("dense biases", "parameters"): "n",
        ("output weights", "parameters"): "10·n",
        ("output biases", "parameters"): "10",
        ("conv", "macs"): "(196608 + 21760m)·m·k²",
        ("dense", "macs"): "64·m·n",
        ("output", "macs"): "10·n",
        ("max pooling", "comparisons"): "65472m",
    }
    assert counted.symbols == {"m": 32, "k": 3, "n": 64}
    assert make("flexible").place("pool5").output_shape == (32, 8, 8)
    assert counted.total("parameters").symbols == ("(3 + 4m)·m·k² + 5m + 64·m·n + n + 10·n + 10")


@pytest.mark.parametrize(
    ("options", "symbols"),
    [
        ({"organisation": 2.0}, "(3 + 170m)·m·k²"),
        ({"organisation": 0.5}, "(3 + 85m/128)·m·k²"),
        ({"blocks": 1}, "3·m·k²"),
        ({"organisation": 0.5, "filters": 10, "blocks": 3}, "(3m1 + m1·m2 + m2·m3)·k²"),
    ],
)
def test_other_organisations_change_the_formula(options: dict[str, object], symbols: str) -> None:
    counted = formulas(flexible_options(options), input_shape=(3, 256, 256), classes=10)
    assert lines(counted)["conv weights", "parameters"] == symbols


def test_filters_that_do_not_halve_are_symbols_of_their_own() -> None:
    choice = Flexible(organisation=0.5, filters=10)
    counted = formulas(choice, input_shape=(3, 256, 256), classes=10)
    assert counted.symbols == {"m1": 10, "m2": 5, "m3": 2, "m4": 1, "m5": 1, "k": 3, "n": 64}
    assert lines(counted)["dense weights", "parameters"] == "64·m5·n"


def test_without_dense_layers_the_output_reads_the_maps() -> None:
    counted = formulas(Flexible(dense_layers=0), input_shape=(3, 256, 256), classes=10)
    assert lines(counted)["output weights", "parameters"] == "640·m"
    assert lines(counted)["dense weights", "parameters"] == "0"
    assert "n" not in counted.total("macs").symbols

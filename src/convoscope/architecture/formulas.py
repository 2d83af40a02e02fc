"""Parameters and computations of the flexible network as formulas in m, k and n.

m is the number of filters of the first block, k the kernel size, n the width of the dense layers.
With "same" padding and five equal blocks on 3x256x256 pixels the convolutions have
``(3 + 4m)·m·k²`` weights, the maps before flattening are ``8x8xm``, and the first dense layer
has ``64·m·n`` weights. Biases and batch norm are counted apart.

Where the organisation does not divide m into whole numbers of filters, no polynomial in m is exact,
and the formulas are in ``m1``, ``m2``, ..., the filters of each block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from convoscope.architecture.protocol import Shape
from convoscope.architecture.zoo.flexible import Flexible

Counts: TypeAlias = Literal["parameters", "macs", "comparisons", "values"]

_POOL_COMPARISONS = 3  # the largest of the four values of a 2x2 window


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """One count: ``part`` of the network it is for, ``counts`` what, in symbols and as a number."""

    part: str
    counts: Counts
    symbols: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Formulas:
    """Every formula, and the values that its symbols have."""

    symbols: dict[str, int]
    lines: tuple[Formula, ...]

    def total(self, counts: Counts) -> Formula:
        """The sum of all lines that count the same."""
        parts = [line for line in self.lines if line.counts == counts and line.value]
        return Formula(
            part="total",
            counts=counts,
            symbols=" + ".join(part.symbols for part in parts),
            value=sum(part.value for part in parts),
        )


def formulas(choice: Flexible, *, input_shape: Shape, classes: int) -> Formulas:
    """The formulas of the flexible network with these options on an input ``(C, H, W)``."""
    count = _Count(choice, input_shape)
    norm = count.over_blocks([Fraction(2)] * choice.blocks) if choice.batch_norm else ("0", 0)
    lines = (
        _line("conv weights", "parameters", count.conv([1] * choice.blocks)),
        _line("conv biases", "parameters", count.over_blocks([Fraction(1)] * choice.blocks)),
        _line("batch norm", "parameters", norm),
        _line("maps before flatten", "values", count.maps(1)),
        *_dense_lines(count, choice, classes),
        _line("conv", "macs", count.conv(count.areas[:-1])),
        _line("dense", "macs", count.dense()),
        _line("output", "macs", count.output(classes)),
        _line("max pooling", "comparisons", count.over_blocks(count.pooled())),
    )
    return Formulas(symbols=count.symbols, lines=lines)


def _dense_lines(count: _Count, choice: Flexible, classes: int) -> tuple[Formula, ...]:
    layers, width = choice.dense_layers, choice.dense_width
    return (
        _line("dense weights", "parameters", count.dense()),
        _line("dense biases", "parameters", (_term(layers, "n"), layers * width)),
        _line("output weights", "parameters", count.output(classes)),
        _line("output biases", "parameters", (str(classes), classes)),
    )


def _line(part: str, counts: Counts, counted: tuple[str, int]) -> Formula:
    return Formula(part=part, counts=counts, symbols=counted[0], value=counted[1])


class _Count:
    """Counts as pairs (symbols, number), for one choice of options and one input."""

    def __init__(self, choice: Flexible, input_shape: Shape) -> None:
        self.choice = choice
        self.channels, height, width = input_shape
        self.areas = [(height >> i) * (width >> i) for i in range(choice.blocks + 1)]
        shares = [Fraction(choice.organisation) ** i for i in range(choice.blocks)]
        self.shares = shares
        self.is_exact = [choice.filters * share for share in shares] == list(choice.block_filters)

    @property
    def symbols(self) -> dict[str, int]:
        """The values of the symbols that occur."""
        filters = (
            {"m": self.choice.filters}
            if self.is_exact
            else {f"m{i}": m for i, m in enumerate(self.choice.block_filters, 1)}
        )
        return {**filters, "k": self.choice.kernel_size, "n": self.choice.dense_width}

    def pooled(self) -> list[Fraction]:
        """Per block, the comparisons of its pooling for one map."""
        return [Fraction(_POOL_COMPARISONS * area) for area in self.areas[1:]]

    def conv(self, areas: Sequence[int]) -> tuple[str, int]:
        """Products of all convolutions, each kernel used at ``areas`` places; 1 counts weights."""
        filters, k = self.choice.block_filters, self.choice.kernel_size
        first, later = self.channels * areas[0], areas[1:]
        value = first * filters[0] + sum(
            area * a * b for area, a, b in zip(later, filters, filters[1:], strict=False)
        )
        if self.is_exact:
            pairs = zip(later, self.shares, self.shares[1:], strict=False)
            slope = sum((area * a * b for area, a, b in pairs), Fraction(0))
            inner = f"({first} + {_term(slope, 'm')})" if slope else str(first)
            return f"{inner}·m·k²", value * k**2
        terms = [_term(first, "m1")]
        terms += [f"{_term(area, f'm{i}')}·m{i + 1}" for i, area in enumerate(later, 1)]
        return f"({' + '.join(terms)})·k²", value * k**2

    def over_blocks(self, factors: Sequence[Fraction]) -> tuple[str, int]:
        """The sum over blocks of a factor times the block's filters."""
        filters = self.choice.block_filters
        value = sum((f * m for f, m in zip(factors, filters, strict=True)), Fraction(0))
        if self.is_exact:
            pairs = zip(factors, self.shares, strict=True)
            return _term(sum((f * share for f, share in pairs), Fraction(0)), "m"), int(value)
        terms = [_term(factor, f"m{i}") for i, factor in enumerate(factors, 1)]
        return " + ".join(terms), int(value)

    def maps(self, times: int, *symbols: str) -> tuple[str, int]:
        """Values of the maps before flattening, ``times`` over, times ``symbols``."""
        factor, last = times * self.areas[-1], f"m{self.choice.blocks}"
        value = factor * self.choice.block_filters[-1]
        if self.is_exact:
            return _product(factor * self.shares[-1], "m", *symbols), value
        return _product(Fraction(factor), last, *symbols), value

    def dense(self) -> tuple[str, int]:
        """Weights of the dense layers before the output: the first reads maps, the others n."""
        layers, width = self.choice.dense_layers, self.choice.dense_width
        if not layers:
            return "0", 0
        symbols, maps = self.maps(1, "n")
        further = f" + {_term(layers - 1, 'n²')}" if layers > 1 else ""
        return symbols + further, maps * width + (layers - 1) * width**2

    def output(self, classes: int) -> tuple[str, int]:
        """Weights of the output layer: it reads n units, or the maps without a dense layer."""
        if not self.choice.dense_layers:
            return self.maps(classes)
        return _product(Fraction(classes), "n"), classes * self.choice.dense_width


def _term(coefficient: Fraction | int, symbol: str) -> str:
    """``4m``, ``m``, ``85m/128`` or ``0``."""
    share = Fraction(coefficient)
    if not share:
        return "0"
    number = "" if share.numerator == 1 else str(share.numerator)
    divisor = "" if share.denominator == 1 else f"/{share.denominator}"
    return f"{number}{symbol}{divisor}"


def _product(coefficient: Fraction, *symbols: str) -> str:
    """``64·m·n``, ``m·n`` or ``m·n/4``."""
    number = [] if coefficient.numerator == 1 else [str(coefficient.numerator)]
    divisor = "" if coefficient.denominator == 1 else f"/{coefficient.denominator}"
    return "·".join([*number, *symbols]) + divisor

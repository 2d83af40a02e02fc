"""``convoscope describe``: a network's table, and for the flexible one its formulas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from convoscope.architecture.analysis import (
    EVERYTHING,
    FLOAT32_BYTES,
    MAC_CONVENTION,
    MEMORY_CONVENTION,
    Analysis,
    Row,
    analyse,
)
from convoscope.architecture.formulas import Formula, Formulas, formulas
from convoscope.architecture.graph import Architecture, logit_shapes, without_top
from convoscope.architecture.protocol import Shape, shape_text
from convoscope.architecture.zoo import ZOO, resolve
from convoscope.architecture.zoo.flexible import flexible_options
from convoscope.errors import SettingsError

_PIPE_WIDTH = 160


def _epilog() -> str:
    width = max(map(len, ZOO))
    lines = [f"  {name:<{width}}  {ZOO[name].summary}" for name in sorted(ZOO)]
    return "\b\nNetworks:\n" + "\n".join(lines)


@click.command(epilog=_epilog())
@click.argument("network", metavar="NAME|FILE")
@click.option("--input", "input_text", metavar="CxHxW", help="Input shape, such as 3x224x224.")
@click.option(
    "--classes", "classes_text", metavar="K", help="Classes; with several heads HEAD=K,HEAD=K."
)
@click.option("--no-top", is_flag=True, help="Leave the heads out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="An option of flexible."
)
def describe(
    network: str,
    input_text: str | None,
    classes_text: str | None,
    no_top: bool,
    as_json: bool,
    settings: tuple[str, ...],
) -> None:
    """Show the layers, sizes and costs of a network of the zoo, or of a YAML or JSON file."""
    input_shape = parse_shape(input_text) if input_text else None
    classes = parse_classes(classes_text) if classes_text else None
    options = parse_options(settings)
    architecture = resolve(network, input_shape=input_shape, classes=classes, **options)
    counted = _formulas(architecture, options) if network == "flexible" and not no_top else None
    analysis = analyse(without_top(architecture) if no_top else architecture)
    if as_json:
        print(json.dumps(_content(analysis, counted), indent=2, ensure_ascii=False))
    else:
        _print(analysis, counted)


def parse_shape(text: str) -> Shape:
    """``3x224x224`` as (3, 224, 224).

    Raises:
        SettingsError: if it is not three whole numbers.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise SettingsError(
            f"--input must be channels x height x width such as 3x224x224, got {text!r}"
        )
    return tuple(int(part) for part in parts)


def parse_classes(text: str) -> Mapping[str, int] | int:
    """``5`` as a number, ``angle=12,length=2`` as one per head.

    Raises:
        SettingsError: if it is neither.
    """
    if _is_count(text):
        return int(text)
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(head.strip() and _is_count(count.strip()) for head, _, count in pairs):
        raise SettingsError(
            f"--classes must be a whole number, or one per head such as angle=12,length=2, "
            f"got {text!r}"
        )
    return {head.strip(): int(count) for head, _, count in pairs}


def parse_options(settings: tuple[str, ...]) -> dict[str, object]:
    """``("filters=32", "batch_norm=true")`` as names and values.

    Raises:
        SettingsError: if one is not KEY=VALUE.
    """
    options: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals and value):
            raise SettingsError(f"--set must be KEY=VALUE such as filters=32, got {setting!r}")
        options[key.strip().replace("-", "_")] = _value(value.strip())
    return options


def _value(text: str) -> object:
    """What a word of the command line stands for: true or false, a number, or itself."""
    if text.lower() in ("true", "yes", "on", "false", "no", "off"):
        return text.lower() in ("true", "yes", "on")
    for number in (int, float):
        try:
            return number(text.removeprefix("x"))
        except ValueError:
            continue
    return text


def _is_count(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def _formulas(architecture: Architecture, options: Mapping[str, object]) -> Formulas:
    (units,) = logit_shapes(architecture)["class"]
    return formulas(flexible_options(options), input_shape=architecture.input_shape, classes=units)


def _content(analysis: Analysis, counted: Formulas | None) -> dict[str, Any]:
    content = analysis.to_json()
    if counted:
        totals = [counted.total("parameters"), counted.total("macs")]
        content["symbols"] = counted.symbols
        content["formulas"] = [asdict(line) for line in (*counted.lines, *totals)]
    return content


def _print(analysis: Analysis, counted: Formulas | None) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPE_WIDTH)
    console.print(f"{analysis.name}: input {shape_text(analysis.input_shape)}", markup=False)
    table = _layer_table(analysis)
    room = console.options.update(width=_PIPE_WIDTH)
    if Measurement.get(console, room, table).maximum > console.width:
        # Names tell most of what kinds do, and numbers cannot be folded.
        table = _layer_table(analysis, with_kinds=False)
    console.print(table)
    if counted:
        console.print(_formula_table(counted))
    for line in _totals(analysis):
        console.print(line, markup=False, soft_wrap=True)


def _layer_table(analysis: Analysis, *, with_kinds: bool = True) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", "total", overflow="fold")
    if with_kinds:
        table.add_column("kind", overflow="fold")
    totals = {
        "output": "",
        "parameters": f"{analysis.parameters:,}",
        "MACs": f"{analysis.macs:,}",
        "memory": _memory(analysis.activation_bytes),
        "field": "",
        "jump": "",
    }
    for name, total in totals.items():
        table.add_column(name, total, justify="right", no_wrap=True)
    head = None
    for row in analysis.rows:
        if row.head != head:
            table.add_section()
            table.add_row(_escaped(f"head {row.head!r}"), style="bold")
            head = row.head
        name, kind, *numbers = _cells(row)
        table.add_row(name, *([kind] if with_kinds else []), *numbers)
    return table


def _cells(row: Row) -> tuple[str, ...]:
    # Kernels are square, so that one side of a field says both.
    return (
        "  " * row.depth + _escaped(row.name),
        row.kind,
        shape_text(row.output_shape),
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.macs:,}" if row.macs else "",
        _memory(row.activation_bytes),
        str(row.field[0]) if row.field else EVERYTHING,
        str(row.jump[0]) if row.field else "",
    )


def _formula_table(counted: Formulas) -> Table:
    values = ", ".join(f"{symbol} = {value}" for symbol, value in counted.symbols.items())
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=f"Formulas, {values}"
    )
    table.title_justify = "left"
    for name in ("part", "counts", "formula"):
        table.add_column(name, overflow="fold")
    table.add_column("number", justify="right", no_wrap=True)
    for line in counted.lines:
        table.add_row(*_formula_cells(line))
    table.add_section()
    for counts in ("parameters", "macs"):
        table.add_row(*_formula_cells(counted.total(counts)), style="bold")
    return table


def _formula_cells(line: Formula) -> tuple[str, str, str, str]:
    counts = "MACs" if line.counts == "macs" else line.counts
    return line.part, counts, line.symbols, f"{line.value:,}"


def _totals(analysis: Analysis) -> tuple[str, ...]:
    return (
        f"{analysis.parameters:,} parameters "
        f"({_memory(FLOAT32_BYTES * analysis.parameters)} in float32), "
        f"{_giga(analysis.macs)}MACs, {_memory(analysis.activation_bytes)} of activations",
        MAC_CONVENTION,
        MEMORY_CONVENTION,
        "field = receptive field of a cell (all: the whole map before it), jump = step to the next "
        "cell's, in pixels of the image",
    )


def _memory(count: int) -> str:
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def _giga(count: int) -> str:
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.2f} {prefix}"
    return f"{count} "


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")

"""A cell's arithmetic on the terminal: what meets what, and what comes of it."""

from __future__ import annotations

import numpy as np
from rich.table import Table

from convoscope.cli import tables
from convoscope.jobs.cell import CellArithmetic
from convoscope.jobs.likeness import CellTwin

_FEW_CHANNELS = 4
_WIDEST_KERNEL = 5
_FEW_TERMS = 16
_SHOWN = 12


def show(twin: CellTwin, *, whole: bool) -> None:
    """Print the cell: its terms, or the largest of many, then the sum, then the engines' value."""
    found = twin.arithmetic
    tables.say(f"\n{_title(found)}")
    if found.note:
        tables.say(found.note)
    tables.say("")
    if found.patch is not None and found.patch[0] <= _WIDEST_KERNEL and _is_shown(found, whole):
        for channel in range(found.patch[2]):
            _channel(found, channel)
    else:
        _list(found, whole=whole)
    tables.say("")
    for line in _conclusion(twin):
        tables.say(line)


def _title(found: CellArithmetic) -> str:
    cell = found.cell
    if found.kind in ("dense", "flatten"):
        return f"Unit {cell.filter} of {cell.layer!r} ({found.kind}), written out:"
    return (
        f"Cell ({cell.row}, {cell.column}) of filter {cell.filter} of {cell.layer!r} "
        f"({found.kind}), written out:"
    )


def _is_shown(found: CellArithmetic, whole: bool) -> bool:
    return found.patch is not None and (whole or found.patch[2] <= _FEW_CHANNELS)


def _channel(found: CellArithmetic, channel: int) -> None:
    """A channel's patch, kernel and products side by side, row by row."""
    assert found.patch is not None
    assert found.weights is not None
    k = found.patch[0]
    values, weights, products = (
        array.reshape(found.patch)[:, :, channel]
        for array in (found.values, found.weights, found.products)
    )
    pixels = found.pixels.reshape(*found.patch, 3)[:, :, channel]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(f"channel {pixels[0, 0, 2]}")
    for heads in ("patch", "kernel", "products"):
        for column in range(k):
            table.add_column(heads if column == 0 else "", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    for row in range(k):
        cells = [f"row {pixels[row, 0, 0]}"]
        for numbers, sign in ((values, "x"), (weights, "="), (products, "")):
            cells += [_number(number) for number in numbers[row]] + [sign]
        table.add_row(*cells)
    tables.out().print(table)
    first, last = pixels[0, 0, 1], pixels[0, -1, 1]
    tables.say(f"columns {first} to {last}; products sum to {_number(float(products.sum()))}\n")


def _list(found: CellArithmetic, *, whole: bool) -> None:
    """A line per term; of many those that count most, the rest as one."""
    products = found.products
    count = len(products)
    order = np.arange(count)
    if not whole and count > _FEW_TERMS:
        order = np.argsort(-np.abs(products), kind="stable")[:_SHOWN]
    table = tables.plain_table(*_places(found), "value", *_weighing(found), left=0)
    for term in order:
        numbers = [_number(float(found.values[term]))]
        if found.weights is not None:
            numbers += [_number(float(found.weights[term])), _number(float(products[term]))]
        table.add_row(*_place(found, int(term)), *numbers)
    tables.out().print(table)
    if len(order) < count:
        shown = float(products[order].sum())
        rest = _number(float(products.sum()) - shown)
        if found.joining == "largest":
            tables.say(f"and {count - len(order):,} smaller values; --all shows them")
        else:
            tables.say(
                f"these sum to {_number(shown)}, the other {count - len(order):,} "
                f"terms to {rest}; --all shows them"
            )


def _is_vector(found: CellArithmetic) -> bool:
    return found.kind == "dense"


def _places(found: CellArithmetic) -> tuple[str, ...]:
    return ("unit",) if _is_vector(found) else ("row", "column", "channel")


def _place(found: CellArithmetic, term: int) -> tuple[str, ...]:
    row, column, channel = (str(number) for number in found.pixels[term])
    return (channel,) if _is_vector(found) else (row, column, channel)


def _weighing(found: CellArithmetic) -> tuple[str, ...]:
    return () if found.weights is None else ("weight", "product")


def _conclusion(twin: CellTwin) -> list[str]:
    found = twin.arithmetic
    count = len(found.products)
    one = "value" if found.weights is None else "product"
    name = {
        "sum": one if count == 1 else f"sum of {count:,} {one}s",
        "largest": f"largest of {count:,}",
        "mean": f"mean of {count:,}",
    }[found.joining]
    rows = [(name, found.joined)]
    if found.bias is not None:
        rows += [("bias", found.bias), ("with bias", found.before)]
    if found.activation is not None:
        rows.append((f"{found.activation} gives", found.output))
    rows += [(f"{engine} has", value) for engine, value in twin.engines.items()]
    width = max(len(words) for words, _ in rows)
    lines = [f"{words:<{width}}  {value: .9g}" for words, value in rows]
    distances = [f"{engine} by {relative:.1e}" for engine, relative in twin.relative.items()]
    lines.append(f"relative to the size of the numbers added, {' and '.join(distances)} off")
    return lines


def _number(value: float) -> str:
    value = value or 0.0  # 0 times a negative weight is -0, a sign that says nothing here
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"

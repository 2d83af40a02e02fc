"""The confusion matrix: rows are what the images are, columns what they were taken for.

Blue is right and orange is wrong; a cell's shade is its share of the row. It comes in four panes
(corner, column names, row names, cells), so that a page can scroll the cells under their names,
or as one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from convoscope.arrays import IntArray
from convoscope.pictures.axes import percent
from convoscope.pictures.svg import element, number, picture, shortened, text, text_width

_NAME_ROOM = 132.0
_SMALLEST_SHADE = 0.16
_SMALLEST_SIDE = 78.0
_CELLS = ((6, 56.0), (12, 42.0), (30, 32.0))
_SMALLEST_CELL = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Panes:
    """The parts of a matrix; ``side`` is the width of the row names, ``head`` the height of the
    column names, ``cell`` a cell's side and ``width`` that of all together, in pixels.
    """

    columns: Markup
    rows: Markup
    cells: Markup
    side: float
    head: float
    cell: float
    width: float


def confusion_panes(counts: IntArray, class_names: Sequence[str]) -> Panes:
    """The panes of a (K, K) matrix of counts; each cell carries its count and its row's share."""
    layout = _layout(class_names)
    size = layout.cell * len(class_names)
    total, right = int(counts.sum()), int(np.trace(counts))
    label = (
        f"Confusion matrix of {len(class_names)} classes: {right} of {total} images lie on the "
        "diagonal, which is right"
    )
    return Panes(
        columns=_pane(size, layout.head, _column_names(class_names, layout), "taken for"),
        rows=_pane(layout.side, size, _row_names(class_names, layout), "true classes"),
        cells=_pane(size, size, _grid(layout) + _cells(counts, class_names, layout), label),
        side=layout.side,
        head=layout.head,
        cell=layout.cell,
        width=layout.side + size,
    )


def confusion_matrix(
    counts: IntArray, class_names: Sequence[str], *, is_normalised: bool = False
) -> Markup:
    """The whole matrix as one picture, with counts or each row's shares in the cells."""
    layout = _layout(class_names)
    size, title = layout.cell * len(class_names), 24.0
    left, top = title + layout.side, title + layout.head
    shown = "share" if is_normalised else "count"
    return picture(
        left + size,
        top + size,
        text(left + size / 2, 14, "taken for", class_="middle small quiet"),
        _turned(12, top + size / 2, "true class", "middle small quiet"),
        _moved(left, title, _column_names(class_names, layout)),
        _moved(title, top, _row_names(class_names, layout)),
        _moved(left, top, _grid(layout) + _cells(counts, class_names, layout, shown=shown)),
        label=f"Confusion matrix of {len(class_names)} classes, rows true, columns taken for",
        class_="chart confusion",
    )


def cell_size(classes: int) -> float:
    """A cell's side in pixels: large enough to read for few classes, still readable for many."""
    return next((side for most, side in _CELLS if classes <= most), _SMALLEST_CELL)


def neighbour_order(counts: IntArray) -> list[int]:
    """An order of the classes in which those that are taken for each other stand together.

    Greedy: starts with the pair confused most, then appends what is confused most with either
    end; (K, K) counts to K indices.
    """
    ties = (counts + counts.T).astype(np.float64)
    np.fill_diagonal(ties, -1)
    first, second = np.unravel_index(int(ties.argmax()), ties.shape)
    order, left = [int(first), int(second)], set(range(len(ties))) - {int(first), int(second)}
    while left:
        rest = sorted(left)
        head, tail = ties[order[0], rest], ties[order[-1], rest]
        if head.max() > tail.max():
            chosen = rest[int(head.argmax())]
            order.insert(0, chosen)
        else:
            chosen = rest[int(tail.argmax())]
            order.append(chosen)
        left.remove(chosen)
    return order


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    classes: int
    cell: float
    side: float
    head: float
    is_level: bool


def _layout(class_names: Sequence[str]) -> _Layout:
    cell = cell_size(len(class_names))
    room = min(_NAME_ROOM, max(text_width(name) for name in class_names)) + 18
    side = max(room, _SMALLEST_SIDE)
    is_level = all(text_width(name) + 6 <= cell for name in class_names)
    return _Layout(
        classes=len(class_names),
        cell=cell,
        side=side,
        head=34.0 if is_level else room,
        is_level=is_level,
    )


def _pane(width: float, height: float, inside: Markup, label: str) -> Markup:
    style = f"--w:{number(width)};--h:{number(height)}"
    return picture(width, height, inside, label=label, class_="chart confusion", style=style)


def _column_names(class_names: Sequence[str], layout: _Layout) -> Markup:
    parts = []
    for index, name in enumerate(class_names):
        x = layout.cell / 2
        if layout.is_level:
            label = text(x, layout.head - 8, name, class_="middle")
        else:
            words = shortened(name, _NAME_ROOM)
            label = _turned(x + 4, layout.head - 8, words, "")
        parts.append(_moved(index * layout.cell, 0, label, data_column=index))
    return Markup("").join(parts)


def _row_names(class_names: Sequence[str], layout: _Layout) -> Markup:
    parts = []
    for index, name in enumerate(class_names):
        words = shortened(name, _NAME_ROOM)
        label = text(layout.side - 8, layout.cell / 2 + 4, words, class_="end")
        parts.append(_moved(0, index * layout.cell, label, data_row=index))
    return Markup("").join(parts)


def _grid(layout: _Layout) -> Markup:
    size = number(layout.cell * layout.classes)
    at = [number(index * layout.cell) for index in range(layout.classes + 1)]
    path = "".join(f"M0 {p}H{size}M{p} 0V{size}" for p in at)
    return element("path", d=path, class_="grid")


def _cells(
    counts: IntArray, class_names: Sequence[str], layout: _Layout, *, shown: str | None = None
) -> Markup:
    totals = counts.sum(axis=1)
    parts = []
    for row, column in np.argwhere(counts).tolist():
        count, total = int(counts[row, column]), int(totals[row])
        words = f"{class_names[row]} taken for {class_names[column]}"
        said = f"{words}: {count} of {total} ({percent(count / total)})"
        square = _square(count / total, layout.cell, is_right=row == column)
        labels = _labels(count, count / total, layout.cell, shown)
        place = {"data_row": row, "data_column": column}
        spot = (column * layout.cell, row * layout.cell)
        parts.append(_moved(*spot, element("title", said) + square + labels, **place))
    return Markup("").join(parts)


def _square(share: float, cell: float, *, is_right: bool) -> Markup:
    # Rare mistakes must still be seen among a hundred classes.
    shade = _SMALLEST_SHADE + (1 - _SMALLEST_SHADE) * share**0.7
    return element(
        "rect",
        x=0.5,
        y=0.5,
        width=cell - 1,
        height=cell - 1,
        class_="right" if is_right else "wrong",
        fill_opacity=shade,
    )


def _labels(count: int, share: float, cell: float, shown: str | None) -> Markup:
    words = {"count": str(count), "share": f"{100 * share:.0f}"}
    return Markup("").join(
        text(
            cell / 2,
            cell / 2 + 4,
            word,
            class_=f"middle {kind}" if cell > _CELLS[-1][1] else f"middle small {kind}",
        )
        for kind, word in words.items()
        if shown in (None, kind)
    )


def _moved(x: float, y: float, inside: Markup, **attributes: str | float | None) -> Markup:
    return element("g", inside, transform=f"translate({number(x)} {number(y)})", **attributes)


def _turned(x: float, y: float, words: str, class_: str) -> Markup:
    where = f"translate({number(x)} {number(y)}) rotate(-90)"
    return text(0, 0, words, class_=class_ or None, transform=where)

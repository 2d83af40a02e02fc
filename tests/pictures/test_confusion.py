from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.pictures.conftest import Drawing

from convoscope.arrays import IntArray, generator
from convoscope.pictures.confusion import (
    cell_size,
    confusion_matrix,
    confusion_panes,
    neighbour_order,
)
from convoscope.pictures.palette import standalone

COUNTS = np.array([[12, 3, 5], [3, 14, 3], [1, 0, 19]], dtype=np.int64)
NAMES = ("chandelier", "ketch", "bonsai")


def drawn_counts(cells: Drawing, classes: int) -> IntArray:
    """The matrix, read back from the places and texts of the drawing."""
    side = float(cells.root.get("width") or 0) / classes
    counts = np.zeros((classes, classes), dtype=np.int64)
    for group in cells.find("g"):
        x, y = (group.get("transform") or "")[len("translate(") : -1].split()
        (count,) = [t for t in group if "count" in (t.get("class") or "").split()]
        counts[round(float(y) / side), round(float(x) / side)] = int(count.text or 0)
    return counts


@pytest.mark.parametrize("classes", [2, 13, 101])
def test_the_drawing_reads_back_as_the_matrix(drawing: type[Drawing], classes: int) -> None:
    counts = generator(0, "confusion", classes).poisson(0.4, (classes, classes)).astype(np.int64)
    panes = confusion_panes(counts, [f"class {k}" for k in range(classes)])
    np.testing.assert_array_equal(drawn_counts(drawing(panes.cells), classes), counts)


def test_right_cells_are_blue_wrong_ones_orange_and_fuller_with_their_share(
    drawing: type[Drawing],
) -> None:
    cells = drawing(confusion_panes(COUNTS, NAMES).cells)
    assert len(cells.find("rect", "right")) == 3
    assert len(cells.find("rect", "wrong")) == 5
    shades = [float(rect.get("fill-opacity") or 0) for rect in cells.find("rect")]
    assert shades[2] > shades[1]
    assert max(shades) <= 1


def test_a_cell_says_its_count_and_its_share_of_the_row(drawing: type[Drawing]) -> None:
    cells = drawing(confusion_panes(COUNTS, NAMES).cells)
    said = [(node.text or "").replace("\N{NO-BREAK SPACE}", " ") for node in cells.find("title")]
    assert "chandelier taken for bonsai: 5 of 20 (25 %)" in said
    assert [t.text for t in cells.find("text", "share")][:3] == ["60", "15", "25"]


def test_names_of_rows_and_columns_are_the_classes_escaped(drawing: type[Drawing]) -> None:
    panes = confusion_panes(COUNTS[:2, :2], ("<script>", "a & 🎈"))
    assert drawing(panes.rows).texts() == ["<script>", "a & 🎈"]
    assert drawing(panes.columns).texts() == ["<script>", "a & 🎈"]


def test_short_names_stand_level_and_long_ones_are_turned(drawing: type[Drawing]) -> None:
    short = drawing(confusion_panes(COUNTS, ("a", "b", "c")).columns)
    long = drawing(confusion_panes(COUNTS, NAMES).columns)
    assert all("rotate" not in (t.get("transform") or "") for t in short.find("text"))
    assert all("rotate" in (t.get("transform") or "") for t in long.find("text"))


def test_cells_shrink_with_the_number_of_classes() -> None:
    sizes = [cell_size(k) for k in (2, 10, 20, 101)]
    assert sizes == sorted(sizes, reverse=True)


def test_the_normalised_matrix_prints_shares_instead_of_counts(drawing: type[Drawing]) -> None:
    shares = drawing(confusion_matrix(COUNTS, NAMES, is_normalised=True))
    assert shares.find("text", "count") == []
    assert "95" in shares.texts()


def test_neighbours_in_order_are_those_confused_with_each_other() -> None:
    counts = np.zeros((6, 6), dtype=np.int64)
    for one, other in ((0, 5), (5, 2), (1, 3)):
        counts[one, other] = 4
    order = neighbour_order(counts)
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(5)) == 1
    assert abs(order.index(5) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1


def test_the_whole_matrix(golden: Callable[[str, str], None]) -> None:
    golden("pictures/confusion.svg", standalone(confusion_matrix(COUNTS, NAMES)))

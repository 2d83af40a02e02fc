from __future__ import annotations

import pytest
from tests.pictures.conftest import Drawing

from convoscope.metrics.intervals import UNDEFINED, Figure
from convoscope.report.accuracy import accuracy_row, figure_bar


def test_a_figure_has_a_row_and_a_bar() -> None:
    figure = Figure(0.75, 0.5, 0.9)
    (row,) = accuracy_row("test", figure, baseline=0.3, is_main=True)
    assert (row.name, row.value, row.low, row.high) == ("test", 0.75, 0.5, 0.9)
    assert (row.baseline, row.is_main) == (0.3, True)
    (dot,) = Drawing(figure_bar(figure)).find("circle")
    (band,) = Drawing(figure_bar(figure)).find("rect", "band")
    start, width = float(band.get("x") or 0), float(band.get("width") or 0)
    assert start < float(dot.get("cx") or 0) < start + width


@pytest.mark.parametrize("figure", [UNDEFINED, Figure(0.5, None, None)])
def test_one_that_is_undefined_has_neither(figure: Figure) -> None:
    assert list(accuracy_row("test", figure)) == []
    assert figure_bar(figure) == ""

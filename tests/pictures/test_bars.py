from __future__ import annotations

from collections.abc import Callable

from tests.pictures.conftest import Drawing

from convoscope.pictures.bars import AccuracyRow, accuracy_chart, interval_bar, percent_exact
from convoscope.pictures.palette import standalone

ROWS = [
    AccuracyRow(name="test", value=0.8, low=0.711, high=0.867, baseline=0.2, is_main=True),
    AccuracyRow(name="validation", value=0.86, low=0.738, high=0.93, baseline=0.2),
]


def test_a_bar_spans_its_interval_and_its_dot_lies_inside(drawing: type[Drawing]) -> None:
    drawn = drawing(interval_bar(0.5, 0.25, 0.75))
    (band,) = drawn.find("rect", "band")
    (dot,) = drawn.find("circle", "dot")
    left, width = float(band.get("x") or 0), float(band.get("width") or 0)
    assert width == 44
    assert float(dot.get("cx") or 0) == left + width / 2


def test_a_bar_says_its_figure_to_who_cannot_see_it(drawing: type[Drawing]) -> None:
    label = drawing(interval_bar(0.5, 0.25, 0.75)).root.get("aria-label") or ""
    assert label.replace("\N{NO-BREAK SPACE}", " ") == "50 %, interval 25 % to 75 %"


def test_an_accuracy_chart_names_rows_values_baseline_and_axis(drawing: type[Drawing]) -> None:
    texts = drawing(accuracy_chart(ROWS, baseline_name="commonest class")).texts()
    plain = [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts]
    assert {"test", "validation", "80.0 %", "86.0 %", "accuracy"} <= set(plain)
    assert plain.count("commonest class 20.0 %") == 1


def test_a_figure_of_100_percent_stays_inside_the_picture(drawing: type[Drawing]) -> None:
    row = AccuracyRow(name="test", value=1.0, low=0.96, high=1.0, is_main=True)
    drawn = drawing(accuracy_chart([row], baseline_name=""))
    width = float(drawn.root.get("width") or 0)
    assert max(float(dot.get("cx") or 0) for dot in drawn.find("circle")) < width
    assert drawn.find("line", "dashed") == []


def test_percent_exact_keeps_a_zero() -> None:
    assert percent_exact(0.8) == "80.0\N{NO-BREAK SPACE}%"


def test_the_whole_chart(golden: Callable[[str, str], None]) -> None:
    svg = accuracy_chart(ROWS, baseline_name="commonest class")
    golden("pictures/accuracy.svg", standalone(svg))

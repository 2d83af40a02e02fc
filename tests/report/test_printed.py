"""The page is read back as a reader sees it, and a wrong figure on it stops the report."""

from __future__ import annotations

import re

import pytest

from convoscope.errors import ReconciliationError
from convoscope.report.page import render
from convoscope.report.printed import check_page, number, read_page
from convoscope.report.reading import Contents, read
from convoscope.runs.store import Run


@pytest.fixture(scope="module")
def contents(digits_run: Run) -> Contents:
    return read(digits_run)


@pytest.fixture(scope="module")
def page(contents: Contents) -> str:
    return render(contents)


@pytest.mark.parametrize(
    ("text", "value"),
    [("62,805", 62805), ("80.0 %", 0.8), ("80.0\N{NO-BREAK SPACE}%", 0.8), ("–", None), ("", None)],
)
def test_a_number_is_read_as_it_is_written(text: str, value: float | None) -> None:
    assert number(text) == value


def test_what_is_marked_is_read_and_nothing_else() -> None:
    printed = read_page(
        '<p>7 <b data-figure="a/n">1,<i>2</i>00</b> 9</p><img src="x">'
        '<td data-figure="a/n">1,00</td>'
        '<div data-matrix="test/class"><svg><g data-row="1" data-column="0"><title>3</title>'
        '<text class="middle count">3</text><text class="middle share">30</text></g></svg></div>'
    )
    assert printed.figures == {"a/n": ["1,00", "1,00"]}
    assert printed.matrices == {"test/class": {(1, 0): 3}}


def test_an_honest_page_passes(page: str, contents: Contents) -> None:
    check_page(page, contents.metrics)


def test_a_figure_printed_twice_must_be_the_same(page: str, contents: Contents) -> None:
    cell = '<td class="n" data-figure="test/whole/n">300</td>'
    assert cell in page
    with pytest.raises(ReconciliationError, match=r"test/whole/n.*300 and 301.*write the report"):
        check_page(page.replace(cell, cell.replace("300", "301")), contents.metrics)


def test_the_matrix_must_add_up_to_the_classes(page: str, contents: Contents) -> None:
    start = page.index('data-matrix="test/class"')
    cell = re.compile(r' count">(\d+)</text>').search(page, start)
    assert cell
    wrong = page[: cell.start(1)] + str(int(cell[1]) + 1) + page[cell.end(1) :]
    with pytest.raises(ReconciliationError, match="sum of the matrix must agree, got 301 and 300"):
        check_page(wrong, contents.metrics)


def test_an_accuracy_that_is_not_its_quotient_stops_the_report(
    page: str, contents: Contents
) -> None:
    printed = re.compile(r'(data-figure="test/whole/accuracy">)([\d.]+)')
    assert len(printed.findall(page)) == 2
    wrong = printed.sub(lambda match: f"{match[1]}{float(match[2]) + 0.1:.1f}", page)
    with pytest.raises(ReconciliationError, match="accuracy and right / images"):
        check_page(wrong, contents.metrics)


def test_a_figure_that_is_left_out_stops_the_report(page: str, contents: Contents) -> None:
    wrong = page.replace("test/class/3/support", "test/class/3/unsupported")
    with pytest.raises(ReconciliationError, match=r"test/class/3/support: a report must print"):
        check_page(wrong, contents.metrics)

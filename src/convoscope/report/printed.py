"""The page's own numbers, read back from its text and added up again.

An element that prints a figure says which one in ``data-figure``, ``test/class/0/support`` say,
and one that holds a confusion matrix says whose in ``data-matrix``. What is checked is the text
between the tags, exactly what a reader sees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from convoscope.errors import ReconciliationError
from convoscope.metrics.summary import HeadMetrics, SplitMetrics

_HALF_A_DIGIT = 0.0005001
_VOID = frozenset({"meta", "img", "input", "br", "hr", "link", "col", "wbr"})


@dataclass(slots=True)
class Printed:
    """What a page prints: texts by figure, and counts by matrix, row and column."""

    figures: dict[str, list[str]] = field(default_factory=dict)
    matrices: dict[str, dict[tuple[int, int], int]] = field(default_factory=dict)


def read_page(page: str) -> Printed:
    """Every marked figure and every matrix cell of a page."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.printed


def number(text: str) -> float | None:
    """``62,805`` as 62805, ``80.0 %`` as 0.8, a dash as ``None``; any space counts as one."""
    digits = text.replace(",", "").replace("%", "").strip()
    if digits in ("", "–"):
        return None
    return float(digits) / 100 if "%" in text else float(digits)


def check_page(page: str, metrics: Mapping[str, SplitMetrics]) -> None:
    """Check that the printed numbers agree with one another and with the saved predictions.

    Raises:
        ReconciliationError: at the first two that disagree, or if a figure is not printed.
    """
    printed = read_page(page)
    for key, texts in printed.figures.items():
        for again in texts[1:]:
            if again != texts[0]:
                raise _disagreement(f"report, {key}: the same figure", texts[0], again)
    for split, figures in metrics.items():
        for head, of_head in figures.heads.items():
            _check_head(printed, f"{split}/{head}", of_head)
        whole = f"{split}/whole"
        _check_share(
            printed, whole, _value(printed, f"{whole}/correct"), _value(printed, f"{whole}/n")
        )
        _equal(f"{whole}/n", _value(printed, f"{whole}/n"), figures.whole.n)
        _equal(f"{whole}/correct", _value(printed, f"{whole}/correct"), figures.whole.correct)


def _check_head(printed: Printed, where: str, metrics: HeadMetrics) -> None:
    classes = range(len(metrics.classes))
    matrix = printed.matrices.get(where, {})
    support = [_value(printed, f"{where}/{k}/support") or 0 for k in classes]
    right = [_value(printed, f"{where}/{k}/correct") or 0 for k in classes]
    _equal(f"{where}: sum of the classes' supports", sum(support), metrics.n)
    _equal(f"{where}: sum of the classes' right images", sum(right), metrics.correct)
    _equal(f"{where}: sum of the matrix", sum(matrix.values()), metrics.n)
    for k in classes:
        row = sum(matrix.get((k, column), 0) for column in classes)
        column = sum(matrix.get((row, k), 0) for row in classes)
        here = f"{where}: class {metrics.classes[k].name!r}"
        _equal(f"{here}: row of the matrix and support", row, support[k])
        _equal(f"{here}: diagonal and right images", matrix.get((k, k), 0), right[k])
        predicted = _value(printed, f"{where}/{k}/predicted")
        _equal(f"{here}: column of the matrix and predicted", column, predicted)


def _check_share(printed: Printed, where: str, correct: float | None, n: float | None) -> None:
    said = _value(printed, f"{where}/accuracy")
    if not n:
        _equal(f"{where}: accuracy of no images", said, None)
    elif said is None or correct is None or abs(said - correct / n) > _HALF_A_DIGIT:
        raise _disagreement(f"{where}: accuracy and right / images", said, (correct or 0) / n)


def _value(printed: Printed, key: str) -> float | None:
    texts = printed.figures.get(key)
    if texts is None:
        raise ReconciliationError(
            f"report, {key}: a report must print this figure, it does not: write the report again"
        )
    return number(texts[0])


def _equal(where: str, one: float | None, other: float | None) -> None:
    is_equal = one is other if one is None or other is None else math.isclose(one, other)
    if not is_equal:
        raise _disagreement(where, one, other)


def _disagreement(where: str, one: object, other: object) -> ReconciliationError:
    return ReconciliationError(
        f"{where} must agree, got {one} and {other}: write the report again from the saved "
        "predictions"
    )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.printed = Printed()
        self._open: list[tuple[str, str | None]] = []
        self._matrix: str | None = None
        self._cell: tuple[int, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        said = dict(attrs)
        self._matrix = said.get("data-matrix") or self._matrix
        if tag == "g" and "data-row" in said and "data-column" in said:
            self._cell = (int(said["data-row"] or 0), int(said["data-column"] or 0))
        is_count = tag == "text" and "count" in (said.get("class") or "").split()
        figure = said.get("data-figure")
        if figure is not None:
            self.printed.figures.setdefault(figure, []).append("")
        self._open.append((tag, "count" if is_count else figure))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            if self._open.pop()[0] == tag:
                return

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1][1] is None:
            return
        figure = self._open[-1][1]
        if figure != "count":
            self.printed.figures[figure][-1] += data.strip()
        elif self._matrix is not None and self._cell is not None:
            self.printed.matrices.setdefault(self._matrix, {})[self._cell] = int(data)

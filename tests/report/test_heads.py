from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.report.conftest import Task, write_run

from convoscope import report
from convoscope.report.heads import confused_pairs, head_sections, thumbnail
from convoscope.report.reading import read
from convoscope.runs.store import Run


def test_confused_pairs_are_the_fullest_wrong_cells_with_their_share_of_the_row() -> None:
    counts = np.array([[12, 3, 5], [3, 14, 3], [1, 0, 19]], dtype=np.int64)
    pairs = confused_pairs(counts, ("a", "b", "c"), most=2)
    assert [(p.true, p.taken_for, p.count, p.share) for p in pairs] == [
        ("a", "c", 5, 0.25),
        ("a", "b", 3, 0.15),
    ]
    assert len(confused_pairs(counts, ("a", "b", "c"))) == 5
    assert counts[0, 0] == 12


def test_a_faultless_matrix_has_no_confused_pairs() -> None:
    assert confused_pairs(np.diag([3, 4]).astype(np.int64), ("a", "b")) == ()


def test_orders_are_permutations_and_the_worst_class_can_come_first(digits_run: Run) -> None:
    (section,) = head_sections(read(digits_run))
    shown = section.splits[0]
    for order in shown.orders.values():
        assert sorted(order) == list(range(10))
    recalls = [row.figures.recall.value or 0.0 for row in shown.classes]
    assert shown.orders["worst first"][0] == int(np.argmin(recalls))


def test_five_short_names_fit_a_phone_and_ten_classes_scroll(
    digits_run: Run, tmp_path: Path
) -> None:
    names = ("car_side", "ewer", "grand_piano", "helicopter", "laptop")
    five = write_run(tmp_path / "r", Task(heads={"class": (names, lambda values: values // 2)}))
    for run, fits in ((five, True), (digits_run, False)):
        (section,) = head_sections(read(run))
        shown = section.splits[0]
        assert shown.fits_phone == fits
        assert (0.8 * shown.panes.width <= 358) == fits
        assert ('class="matrix fits"' in report.write(run).read_text()) == fits


def test_mistakes_carry_the_stored_picture(digits_run: Run) -> None:
    (section,) = head_sections(read(digits_run))
    for shown in section.splits:
        assert shown.mistakes
        for mistake in shown.mistakes:
            assert mistake.thumbnail is not None
            assert (mistake.thumbnail.width, mistake.thumbnail.height) == (8, 8)
            assert mistake.thumbnail.is_tiny
            assert mistake.true != mistake.predicted
    assert thumbnail({}, "digits/0001") is None

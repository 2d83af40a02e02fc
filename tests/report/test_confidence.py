from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.report.test_page import table

from convoscope.metrics.confidence import choose_temperature
from convoscope.report.confidence import TARGETS, confidence
from convoscope.report.page import render
from convoscope.report.reading import read
from convoscope.runs.store import Run


def test_temperature_and_thresholds_are_chosen_on_validation_and_judged_on_test(
    digits_run: Run,
) -> None:
    (part,) = confidence(read(digits_run))
    validation, test = (digits_run.predictions(s).heads["class"] for s in ("validation", "test"))
    assert part.temperature == choose_temperature(validation)
    assert [row.wanted for row in part.thresholds] == list(TARGETS)
    for row in part.thresholds:
        assert row.chosen is not None
        assert row.judged is not None
        assert row.chosen.threshold == row.judged.threshold
        assert (row.chosen.accuracy.value or 0) >= row.wanted
        kept = right = 0
        for logits, label in zip(test.logits.astype(float), test.labels, strict=True):
            cooled = np.exp((logits - logits.max()) / part.temperature.value)
            if cooled.max() / cooled.sum() >= row.judged.threshold:
                kept += 1
                right += int(logits.argmax() == label)
        assert row.judged.coverage.value == pytest.approx(kept / len(test.labels), abs=1e-9)
        assert row.judged.accuracy.value == pytest.approx(right / kept)


def test_the_calibration_error_is_the_reports(digits_run: Run) -> None:
    contents = read(digits_run)
    (part,) = confidence(contents)
    error = contents.metrics["test"].heads["class"].calibration.error.value
    assert part.error_before == pytest.approx(error)
    assert f"from {100 * part.error_before:.1f}" in part.sentence


def test_the_page_prints_them(digits_run: Run) -> None:
    contents = read(digits_run)
    page = render(contents)
    (part,) = confidence(contents)
    ((first, second),) = table(page, "thresholds")
    for cells, row in zip((first, second), part.thresholds, strict=True):
        assert row.chosen is not None
        assert row.judged is not None
        assert cells[0] == f"{100 * row.wanted:g} % right"
        assert cells[1] == f"{100 * row.chosen.threshold:.1f} %"
        assert cells[4].startswith(f"{100 * (row.judged.accuracy.value or 0):.1f} %")
    assert '<a href="#confidence">' in page


def reliabilities(page: str) -> int:
    return page.count('class="chart reliability"')


def test_how_honest_it_is_stands_on_the_page_once(digits_run: Run, tmp_path: Path) -> None:
    page = render(read(digits_run))
    assert reliabilities(page) == 2, "before the temperature, and with it"
    bare = Run(Path(shutil.copytree(digits_run.path, tmp_path / "run")))
    (bare.path / "predictions" / "validation.npz").unlink()
    bare.split_file.unlink(missing_ok=True)
    assert reliabilities(render(read(bare))) == 2, "beside the mistakes of train, and of test"


def test_without_a_validation_split_there_is_no_such_section(
    digits_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(digits_run.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    (run.path / "predictions" / "validation.npz").unlink()
    run.split_file.unlink(missing_ok=True)
    contents = read(run)
    assert confidence(contents) == ()
    assert 'id="confidence"' not in render(contents)
    (run.path / "predictions" / "train.npz").unlink()
    shutil.copy(digits_run.path / "predictions" / "validation.npz", run.path / "predictions")
    (run.path / "predictions" / "test.npz").unlink()
    assert confidence(read(run)) == (), "it would be judged on what it was chosen on"

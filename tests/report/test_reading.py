from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from convoscope.errors import ReconciliationError, RunError
from convoscope.report.reading import read
from convoscope.runs.store import Run


@pytest.fixture
def run(digits_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(digits_run.path, tmp_path / "run")))


def write_split_file(run: Run, *, without: str = "") -> None:
    rows = [
        f"{id_},,{split},"
        for split in run.splits()
        for id_ in run.predictions(split).ids
        if id_ != without
    ]
    text = "\n".join(["file,class,split,sha256", *rows])
    run.split_file.write_text(text, encoding="utf-8")


def test_figures_of_every_split_are_read_with_the_network(run: Run) -> None:
    contents = read(run)
    assert contents.splits == ("train", "validation", "test")
    assert {split: m.images for split, m in contents.metrics.items()} == {
        "train": 900, "validation": 200, "test": 300,
    }  # fmt: skip
    assert contents.heads == ("class",)
    assert contents.analysis.parameters == 650


def test_the_split_file_and_the_predictions_name_the_same_images(run: Run) -> None:
    write_split_file(run)
    assert read(run).main_split == "test"


def test_a_finished_run_without_its_test_predictions_is_not_reported_by_others(run: Run) -> None:
    write_split_file(run)
    (run.path / "predictions" / "test.npz").unlink()
    with pytest.raises(
        RunError,
        match=r"a finished run must have predictions for every split, predictions/test.npz is "
        r"missing: predict again with  convoscope evaluate .*$",
    ):
        read(run)
    run.update_record(status="interrupted")
    assert read(run).main_split == "validation"


def test_an_image_that_the_split_file_does_not_name_stops_the_report(run: Run) -> None:
    lost = run.predictions("test").ids[7]
    write_split_file(run, without=lost)
    with pytest.raises(
        ReconciliationError,
        match=rf"test: split.csv and the predictions must name .* 1 are .*{lost}: predict again",
    ):
        read(run)


def test_predictions_of_other_data_are_one_more_split(run: Run) -> None:
    write_split_file(run)
    test = run.predictions("test")
    run.write_predictions(type(test)(split="holiday", ids=test.ids, heads=test.heads))
    contents = read(run)
    assert contents.shown_splits == ("test", "holiday", "validation", "train")


def test_a_run_without_predictions_is_one_sentence(run: Run) -> None:
    shutil.rmtree(run.path / "predictions")
    with pytest.raises(RunError, match=r"run: a report needs saved predictions, .*--resume"):
        read(run)

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.report.headline import baseline, commonest_class, headline, whole_baseline
from convoscope.report.reading import Contents, read
from convoscope.runs.store import Run


@pytest.fixture(scope="module")
def contents(digits_run: Run) -> Contents:
    return read(digits_run)


def test_the_baseline_is_the_training_sets_commonest_class_on_the_split(contents: Contents) -> None:
    train = contents.predictions["train"].heads["class"].labels
    test = contents.predictions["test"].heads["class"].labels
    commonest = int(np.bincount(train).argmax())
    assert commonest_class(contents, "class") == commonest
    assert baseline(contents, "test", "class") == (test == commonest).mean()
    assert whole_baseline(contents, "test") == baseline(contents, "test", "class")


def test_the_test_split_counts_and_without_it_the_last_one(contents: Contents) -> None:
    assert contents.main_split == "test"
    assert contents.shown_splits == ("test", "validation", "train")
    rest = {k: v for k, v in contents.predictions.items() if k != "test"}
    assert replace(contents, predictions=rest).main_split == "validation"


def test_a_result_no_better_than_the_baseline_is_said_to_be_so(
    digits_run: Run, tmp_path: Path
) -> None:
    run = Run(Path(shutil.copytree(digits_run.path, tmp_path / "guessing")))
    for split in run.splits():
        said = run.predictions(split)
        head = said.heads["class"]
        always = np.tile(np.eye(10)[6], (len(said.ids), 1))
        changed = HeadPredictions(class_names=head.class_names, labels=head.labels, logits=always)
        run.write_predictions(Predictions(split=split, ids=said.ids, heads={"class": changed}))
    comparison = headline(read(run)).comparison
    assert comparison.endswith("on these pictures the network cannot be told from that.")


def test_a_split_without_a_single_label_says_so(digits_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(digits_run.path, tmp_path / "unlabelled")))
    said = run.predictions("test")
    head = said.heads["class"]
    unknown = HeadPredictions(
        class_names=head.class_names, labels=np.full_like(head.labels, -1), logits=head.logits
    )
    run.write_predictions(Predictions(split="test", ids=said.ids, heads={"class": unknown}))
    assert headline(read(run)).comparison.startswith("No label of this split is known")

"""Wrong labels of real digits are found again; what cannot be asked is a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.report.conftest import DIGIT_NAMES, Task, write_run

from convoscope.data.cache import decode
from convoscope.data.digits import read_digits
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.splits import Splits, write_splits
from convoscope.errors import RunError, SettingsError
from convoscope.jobs.doubts import BY_HEART, doubts
from convoscope.jobs.originals import small_pictures
from convoscope.runs import Run

WRONG = 12


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Digits, a dozen of whose test labels were changed after learning."""
    made = write_run(
        tmp_path / "digits", Task(heads={"class": (DIGIT_NAMES, lambda values: values)}, epochs=5)
    )
    said = made.predictions("test")
    head = said.heads["class"]
    labels = head.labels.copy()
    labels[:WRONG] = (labels[:WRONG] + 3) % 10
    made.write_predictions(replace(said, heads={"class": replace(head, labels=labels)}))
    return made


def test_changed_labels_come_first(run: Run) -> None:
    (head,) = doubts(run, top=WRONG).review.heads
    changed = set(run.predictions("test").ids[:WRONG])
    assert len(changed & {doubt.id for doubt in head.doubted}) >= 0.75 * WRONG
    assert head.labelled == 500
    truth = load_digits().target
    for doubt in head.doubted[:5]:
        assert doubt.suggested == str(truth[int(doubt.id.split("/")[1])]) != doubt.given


def test_validation_and_test_unless_there_are_folds(run: Run) -> None:
    assert doubts(run).review.splits == ("validation", "test")
    said = run.predictions("train")
    run.write_predictions(replace(said, split="out-of-fold"))
    assert doubts(run).review.splits == ("out-of-fold",)
    assert doubts(run, splits=["test"]).review.splits == ("test",)


def test_the_training_split_is_looked_at_only_when_asked_and_with_a_warning(run: Run) -> None:
    assert doubts(run).review.notes == ()
    assert doubts(run, splits=["train", "train"]).review.notes == (BY_HEART,)


def test_probabilities_are_calibrated(run: Run) -> None:
    (plain,) = doubts(run, splits=["test"]).review.heads
    run.write_calibration(
        {
            "schema_version": 1,
            "split": "validation",
            "heads": {"class": {"value": 4.0, "n": 9, "before": 1.0, "after": 0.5}},
        }
    )
    (cool,) = doubts(run, splits=["test"]).review.heads
    said = run.predictions("test")
    first = cool.ambiguous[0]
    logits = said.heads["class"].logits[said.ids.index(first.id)].astype(float) / 4
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert first.first_probability == pytest.approx(shares.max())
    assert plain.ambiguous[0].first_probability > first.first_probability


def test_pictures_are_the_originals_while_they_are_what_they_were(run: Run) -> None:
    dataset = read_digits()
    ids = run.predictions("test").ids[:2]
    decoded = decode(dataset, preprocessing=Preprocessing(size=(8, 8), order="gray"))
    rows = np.array([dataset.ids.index(name) for name in ids])
    none = np.empty(0, np.int64)
    splits = Splits(indices={"train": none, "validation": none, "test": rows}, is_given=False)
    write_splits(run.split_file, decoded, splits)
    run.write_samples(ids, np.zeros((2, 8, 8, 1), np.uint8))
    assert dataset.pixels is not None
    found = small_pictures([run], ids)
    np.testing.assert_array_equal(found[ids[0]], dataset.pixels[rows[0]])
    text = run.split_file.read_text().splitlines()
    text[1] = text[1][:-4] + "beef"
    run.split_file.write_text("\n".join(text))
    changed = text[1].split(",")[0]
    assert not small_pictures([run], ids)[changed].any(), "another picture now: the run's own"


@pytest.mark.parametrize(
    ("splits", "top", "sentence"),
    [
        (("tset",), 3, "there are none for 'tset', only for train, validation, test: choose"),
        ((), 0, "top must be at least 1 image, got 0: 24 is usual"),
    ],
)
def test_what_cannot_be_asked(run: Run, splits: tuple[str, ...], top: int, sentence: str) -> None:
    with pytest.raises((RunError, SettingsError)) as error:
        doubts(run, splits=splits, top=top)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_with_nothing_unseen_says_so(run: Run) -> None:
    for split in ("validation", "test"):
        (run.path / "predictions" / f"{split}.npz").unlink()
    with pytest.raises(RunError, match=r"did not learn from .* predictions for train: name one"):
        doubts(run)

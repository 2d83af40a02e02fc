"""Cross-validation end to end, on a tiny network and the NumPy engine."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import draw_folder
from tests.networks import TINY_WITH_DROPOUT

import convoscope
from convoscope.errors import DataError, DivergedError, LeakError, RunError, SettingsError
from convoscope.jobs.folds import pool
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.runs import Run
from convoscope.runs.lock import holding
from convoscope.training.events import EpochEnded, Event, TrainingStarted

CrossValidate = Callable[..., Run]


@pytest.fixture
def cross_validate(tmp_path: Path) -> CrossValidate:
    """``convoscope.cross_validate`` of a tiny network on three shapes, 12 pictures of each."""
    (tmp_path / "tiny.yaml").write_text(TINY_WITH_DROPOUT)
    data = draw_folder(tmp_path / "shapes", per_class=12)

    def run(out: str, **settings: Any) -> Run:
        asked: dict[str, Any] = {"epochs": 3, "batch": 8, "engine": "numpy", "folds": 3}
        return convoscope.cross_validate(
            settings.pop("data", data),
            model=tmp_path / "tiny.yaml",
            out=tmp_path / out,
            **{**asked, **settings},
        )

    return run


def killed_in(part: int, epoch: int) -> Callable[[Event], None]:
    """A listener that ends the process as a signal would: nothing is marked."""
    begun = 0

    def listen(event: Event) -> None:
        nonlocal begun
        begun += isinstance(event, TrainingStarted)
        if begun == part and isinstance(event, EpochEnded) and event.epoch == epoch:
            raise SystemExit("killed")

    return listen


def result_bytes(run: Run) -> dict[str, bytes]:
    """The files that a result consists of; times and paths stand in run.json and history.jsonl."""
    endings = (".npz", ".safetensors", ".csv", ".yaml")
    files = sorted(file for file in run.path.rglob("*") if file.suffix in endings)
    return {file.relative_to(run.path).as_posix(): file.read_bytes() for file in files}


def test_every_image_is_said_by_the_fold_that_tests_it(cross_validate: CrossValidate) -> None:
    run = cross_validate("cv")
    record = run.record()
    assert (record.kind, record.status) == ("cross-validation", "finished")
    assert record.parts == ("folds/1", "folds/2", "folds/3")
    assert run.splits() == ("out-of-fold",)
    pooled = run.predictions("out-of-fold")
    assert len(set(pooled.ids)) == len(pooled.ids) == 36
    where = {id_: row for row, id_ in enumerate(pooled.ids)}
    for name in record.parts:
        fold = convoscope.open_run(run.path / name)
        test, learnt = fold.predictions("test"), set()
        for split in ("train", "validation"):
            learnt |= set(fold.predictions(split).ids)
        assert not learnt & set(test.ids)
        assert len(learnt) + len(test.ids) == 36
        rows = [where[id_] for id_ in test.ids]
        np.testing.assert_array_equal(
            pooled.heads["class"].logits[rows], test.heads["class"].logits
        )
        np.testing.assert_array_equal(
            pooled.heads["class"].labels[rows], test.heads["class"].labels
        )


def test_each_fold_is_a_run_that_its_command_makes_again(cross_validate: CrossValidate) -> None:
    run = cross_validate("cv")
    fold = convoscope.open_run(run.path / "folds" / "2")
    metrics = convoscope.evaluate(fold)
    assert metrics["test"].images == 12
    words = fold.record().command
    assert words[:3] == ("convoscope", "train", str(run.path.parent / "shapes"))
    assert words[words.index("--split") + 1] == str(run.path / "folds" / "2" / "split.csv")
    again = convoscope.train(**{**fold.record().settings, "out": run.path.parent / "again"})
    assert result_bytes(again) == result_bytes(fold)
    assert run.record().command[-4:-2] == ("--folds", "3")


def test_groups_stay_whole_and_the_split_file_names_them(cross_validate: CrossValidate) -> None:
    run = cross_validate("cv", group_by=r"(\w+)_\d*[05]|(?:x)")
    with run.split_file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    folds: dict[str, set[str]] = {}
    for row in rows:
        folds.setdefault(row["group"], set()).add(row["fold"])
    assert {len(found) for found in folds.values()} == {1}
    assert len(folds) == 30


@pytest.mark.parametrize(("part", "epoch"), [(1, 1), (2, 2), (3, 3)])
def test_killed_and_gone_on_with_it_ends_as_if_never_killed(
    cross_validate: CrossValidate, part: int, epoch: int
) -> None:
    whole = cross_validate("whole")
    with pytest.raises(SystemExit, match="killed"):
        cross_validate("killed", listen=killed_in(part, epoch))
    killed = convoscope.open_run(whole.path.parent / "killed")
    assert killed.record().status == "running"
    begun: list[str] = []
    convoscope.resume(killed.path, started=lambda run: begun.append(run.name))
    assert begun == ["killed", *map(str, range(part, 4))]
    assert killed.record().status == "finished"
    assert result_bytes(killed) == result_bytes(whole)


def test_a_fold_killed_while_it_was_made_begins_anew(cross_validate: CrossValidate) -> None:
    whole = cross_validate("whole")
    with pytest.raises(SystemExit):
        cross_validate("killed", listen=killed_in(2, 1))
    killed = convoscope.open_run(whole.path.parent / "killed")
    shutil.rmtree(killed.path / "folds" / "2" / "checkpoint")
    (killed.path / "folds" / "2" / "run.json").unlink()
    assert result_bytes(convoscope.resume(killed.path)) == result_bytes(whole)


def test_stopped_it_says_so_and_goes_on(cross_validate: CrossValidate) -> None:
    whole = cross_validate("whole")
    epochs = 0

    def count(event: Event) -> None:
        nonlocal epochs
        epochs += isinstance(event, EpochEnded)

    run = cross_validate("stopped", listen=count, should_stop=lambda: epochs >= 4)
    assert run.record().status == "interrupted"
    assert (run.path / "folds" / "2").exists()
    assert not (run.path / "folds" / "3").exists()
    assert run.splits() == ()
    assert result_bytes(convoscope.resume(run.path)) == result_bytes(whole)


def test_a_finished_one_has_nothing_to_go_on_with(cross_validate: CrossValidate) -> None:
    run = cross_validate("cv")
    with pytest.raises(RunError, match="only an unfinished run can go on, this one is finished"):
        convoscope.resume(run.path)


def test_another_process_is_not_disturbed(cross_validate: CrossValidate, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        cross_validate("cv", listen=killed_in(1, 1))
    with holding(tmp_path / "cv"), pytest.raises(RunError, match="process"):
        convoscope.resume(tmp_path / "cv")


def test_changed_images_are_refused(cross_validate: CrossValidate, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        cross_validate("cv", listen=killed_in(2, 1))
    Image.new("RGB", (16, 16), "red").save(tmp_path / "shapes" / "bars" / "bars_0.png")
    with pytest.raises(RunError, match="going on needs the images that the run began with"):
        convoscope.resume(tmp_path / "cv")


def test_other_folds_than_it_began_with_are_refused(
    cross_validate: CrossValidate, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        cross_validate("cv", listen=killed_in(2, 1))
    file = tmp_path / "cv" / "split.csv"
    lines = file.read_text().splitlines()
    lines[1] = lines[1].replace(",out-of-fold,", ",out-of-fold,9")
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(RunError, match=r"divides the images in another way than split.csv says"):
        convoscope.resume(tmp_path / "cv")


def test_a_fold_that_diverges_ends_the_run(cross_validate: CrossValidate, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"folds/\d: epoch 1: the loss must be a finite"):
        cross_validate("cv", learning_rate=1e30, optimiser="sgd", epochs=5)
    assert convoscope.open_run(tmp_path / "cv").record().status == "diverged"
    with pytest.raises(RunError, match="one of this run's trainings diverged: train again with a"):
        convoscope.resume(tmp_path / "cv")


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"folds": 1}, SettingsError, "folds must be at least 2, .* got 1"),
        ({"folds": 13}, DataError, r"'bars' \(class\) has 12: take 12 folds at most"),
        ({"split": "old.csv"}, SettingsError, "tests every image in one fold, got split too: le"),
        ({"test": 0.3}, SettingsError, "tests every image in one fold, got test too: leave that"),
        ({"group_by": "frame*_"}, DataError, "must be found in the images' paths, it is in none"),
        ({"group_by": "patient"}, SettingsError, "only a table has columns"),
    ],
)
def test_what_cannot_be_cross_validated_is_one_sentence_and_no_folder(
    cross_validate: CrossValidate,
    tmp_path: Path,
    settings: dict[str, Any],
    error: type[Exception],
    sentence: str,
) -> None:
    with pytest.raises(error, match=sentence):
        cross_validate("cv", **settings)
    assert not (tmp_path / "cv").exists()


def test_no_fold_starts_from_a_network_that_has_seen_its_test(
    cross_validate: CrossValidate, tmp_path: Path
) -> None:
    first = convoscope.train(
        tmp_path / "shapes",
        model=tmp_path / "tiny.yaml",
        out=tmp_path / "first",
        epochs=1,
        engine="numpy",
    )
    with pytest.raises(
        LeakError, match=r"has learnt from \d+ of the images, such as .*: leave --f"
    ):
        cross_validate("cv", from_run=str(first.path))
    others = draw_folder(tmp_path / "others", per_class=6, size=24)
    assert (
        cross_validate("other", from_run=str(first.path), data=others).record().status == "finished"
    )
    allowed = cross_validate("allowed", from_run=str(first.path), allow_leak=True)
    (note,) = [n for n in allowed.record().every_note if "started from" in n and "too good" in n]
    assert note.startswith(f"training started from {first.path}, which has learnt from ")


def test_it_has_no_network_of_its_own(cross_validate: CrossValidate, tmp_path: Path) -> None:
    run = cross_validate("cv")
    with pytest.raises(RunError, match=r"name one of them, such as .*cv/folds/1"):
        convoscope.predict(run, [tmp_path / "shapes" / "bars" / "bars_0.png"])


def test_an_image_tested_twice_or_never_is_no_pool() -> None:
    def said(*ids: str) -> Predictions:
        labels = np.zeros(len(ids), np.int64)
        logits = np.zeros((len(ids), 2), np.float32)
        head = HeadPredictions(class_names=("a", "b"), labels=labels, logits=logits)
        return Predictions(split="test", ids=ids, heads={"class": head})

    assert pool([said("b"), said("a")], ["a", "b"]).ids == ("a", "b")
    for parts in ([said("a"), said("a")], [said("a")]):
        with pytest.raises(RunError, match="every image must be tested in one fold"):
            pool(parts, ["a", "b"])

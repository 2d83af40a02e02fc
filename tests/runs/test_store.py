"""A run folder gives back what was put in, and says in a sentence what is wrong with it."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.networks import TINY

from convoscope import disk
from convoscope.architecture import files as architecture_files
from convoscope.errors import RunError, StorageError
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.runs import Run, RunRecord, find_runs, open_run, remove_run
from convoscope.runs.store import size_on_disk

RECORD = RunRecord(
    kind="train",
    settings={"epochs": 3},
    command=("convoscope", "train"),
    seed=1,
    started="2026-01-01T00:00:00",
    notes=("one file was left out",),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run")
    run.write_record(RECORD)
    return run


def predictions(split: str = "test") -> Predictions:
    rng = np.random.default_rng(0)
    return Predictions(
        split=split,
        ids=("a/ü.png", "b/<i>.png"),
        heads={
            "class": HeadPredictions(
                class_names=("🐈", "<b>"),
                labels=np.array([0, -1]),
                logits=rng.normal(size=(2, 2)).astype(np.float32),
            ),
            "colour": HeadPredictions(
                class_names=("red", "blue"),
                labels=np.array([1, 0]),
                logits=rng.normal(size=(2, 1)).astype(np.float32),
                output="sigmoid",
            ),
        },
    )


def test_the_record_comes_back(run: Run) -> None:
    assert run.record() == RECORD
    assert open_run(str(run.path)) == run
    assert run.update_record(status="finished").status == "finished"
    assert run.record() == replace(RECORD, status="finished")


def test_predictions_come_back_bit_for_bit(run: Run) -> None:
    said = predictions()
    run.write_predictions(said)
    back = run.predictions("test")
    assert back.ids == said.ids
    for name, head in said.heads.items():
        assert back.heads[name].class_names == head.class_names
        assert back.heads[name].output == head.output
        np.testing.assert_array_equal(back.heads[name].labels, head.labels)
        np.testing.assert_array_equal(back.heads[name].logits, head.logits)


def test_the_same_predictions_are_the_same_bytes(run: Run, tmp_path: Path) -> None:
    other = Run(tmp_path / "other")
    for each in (run, other):
        each.write_predictions(predictions())
    files = [each.path / "predictions" / "test.npz" for each in (run, other)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_splits_are_listed_in_reading_order(run: Run) -> None:
    for split in ("zoo", "test", "train", "validation", "aquarium"):
        run.write_predictions(predictions(split))
    assert run.splits() == ("train", "validation", "test", "aquarium", "zoo")


def test_history_comes_back_with_losses_that_are_no_number(run: Run) -> None:
    assert run.history() == []
    run.write_history([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": float("inf")}])
    assert [epoch["train_loss"] for epoch in run.history()] == [0.5, float("inf")]


def test_the_model_comes_back(run: Run) -> None:
    parameters = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "step": np.array(3)}
    run.write_model("name: tiny\n", parameters, {"class_names": {"class": ["ä", "b"]}})
    for name, array in run.parameters().items():
        assert (array.shape, array.dtype) == (parameters[name].shape, parameters[name].dtype)
        np.testing.assert_array_equal(array, parameters[name])
    assert run.model() == {"class_names": {"class": ["ä", "b"]}}
    assert run.architecture_file.read_text() == "name: tiny\n"


def test_the_architecture_comes_back_and_its_loss_is_told(run: Run, tmp_path: Path) -> None:
    described = architecture_files.from_yaml(TINY, where="tiny.yaml")
    run.write_architecture(architecture_files.to_yaml(described), {})
    assert run.architecture() == described
    run.architecture_file.unlink()
    with pytest.raises(RunError, match=r"model/architecture\.yaml is missing"):
        run.architecture()


def test_samples_come_back_by_id(run: Run) -> None:
    assert run.samples() == {}
    pictures = np.arange(2 * 3 * 3 * 1, dtype=np.uint8).reshape(2, 3, 3, 1)
    run.write_samples(("a", "b"), pictures)
    np.testing.assert_array_equal(run.samples()["b"], pictures[1])


def test_samples_take_less_room_than_their_pixels_and_are_the_same_bytes_again(run: Run) -> None:
    pictures = np.zeros((4, 64, 64, 3), np.uint8)
    file = run.path / "samples.npz"
    contents = []
    for _ in range(2):
        run.write_samples(tuple("abcd"), pictures)
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]
    assert len(contents[0]) < pictures.nbytes / 10
    with np.load(file, allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == list("abcd")


def test_a_checkpoint_keeps_the_last_state_and_the_best_parameters(run: Run) -> None:
    assert run.checkpoint() is None
    for epoch in (1, 2, 3):
        value = np.array([float(epoch)])
        best = {"w": value} if epoch < 3 else None
        run.write_checkpoint({"w": value}, {"epoch": epoch, "best_epoch": min(epoch, 2)}, best)
    found = run.checkpoint()
    assert found is not None
    state, progress = found
    assert (state["w"][0], progress) == (3.0, {"epoch": 3, "best_epoch": 2})
    assert run.best(2)["w"][0] == 2.0
    kept = sorted(file.name for file in (run.path / "checkpoint").iterdir())
    assert kept == ["best-2.safetensors", "progress.json", "state-3.safetensors"]


def test_a_checkpoint_cut_off_before_its_progress_leaves_the_earlier_one_whole(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"w": np.array([1.0])}
    run.write_checkpoint(one, {"epoch": 1, "best_epoch": 1}, one)

    def full(path: Path, text: str) -> None:
        raise StorageError(f"{path}: full")

    monkeypatch.setattr(disk, "write_text", full)
    with pytest.raises(StorageError):
        two = {"w": np.array([2.0])}
        run.write_checkpoint(two, {"epoch": 2, "best_epoch": 2}, two)
    found = run.checkpoint()
    assert found is not None
    assert found[0]["w"][0] == 1.0
    assert run.best(found[1]["best_epoch"])["w"][0] == 1.0


def test_a_checkpoint_is_dropped_whole(run: Run) -> None:
    one = {"w": np.array([1.0])}
    run.write_checkpoint(one, {"epoch": 1, "best_epoch": 1}, one)
    run.drop_checkpoint()
    assert run.checkpoint() is None
    assert not (run.path / "checkpoint").exists()
    run.drop_checkpoint()


def test_runs_are_found_by_name(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "none") == []
    (tmp_path / "other").mkdir()
    for name in ("b", "a"):
        Run(tmp_path / name).write_record(RECORD)
    assert [run.name for run in find_runs(tmp_path)] == ["a", "b"]
    assert find_runs(str(tmp_path)) == find_runs(tmp_path)
    assert open_run(open_run(str(tmp_path / "a"))) == Run(tmp_path / "a")


def test_only_a_run_is_removed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(RunError, match=r"must hold run.json, this one does not: name another"):
        remove_run(Run(tmp_path / "photos"))
    assert (tmp_path / "photos").exists()
    remove_run(run)
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"schema_version": 1, "kin', "must be JSON, .* the run was not written whole"),
        ("[]", "must hold an object with schema_version: this is no run folder"),
        ('{"schema_version": 1}', "lacks a key .* the run was not written whole"),
        ('{"schema_version": 99}', "schema_version 99, this convoscope reads up to 1: update"),
        ('{"schema_version": "x"}', "schema_version 'x', this convoscope reads up to 1"),
    ],
)
def test_a_record_that_is_not_whole_is_one_sentence(
    tmp_path: Path, content: str, sentence: str
) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=sentence):
        open_run(tmp_path)


def test_a_later_record_s_extra_keys_are_left_alone(run: Run) -> None:
    content = {**RECORD.to_json(), "colour": "blue"}
    (run.path / "run.json").write_text(json.dumps(content))
    assert run.record() == RECORD


def test_no_folder_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such run folder: see  convoscope runs list"):
        open_run(tmp_path / "none")


def test_predictions_that_were_never_made_name_those_that_were(run: Run) -> None:
    with pytest.raises(RunError, match=r"no predictions for 'test', only for no split: finish"):
        run.predictions("test")
    run.write_predictions(predictions("train"))
    with pytest.raises(RunError, match=r"no predictions for 'test', only for train"):
        run.predictions("test")


@pytest.mark.parametrize("kept", [0, 40, 300])
def test_predictions_cut_short_are_one_sentence(run: Run, kept: int) -> None:
    run.write_predictions(predictions())
    file = run.path / "predictions" / "test.npz"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"must hold saved predictions, .* convoscope evaluate"):
        run.predictions("test")


@pytest.mark.parametrize("kept", [0, 4, 70])
def test_weights_cut_short_are_one_sentence(run: Run, kept: int) -> None:
    run.write_parameters({"w": np.zeros(100)})
    file = run.path / "model" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"must be a safetensors file, .* train --resume"):
        run.parameters()


def test_weights_that_are_missing_say_how_to_go_on(run: Run) -> None:
    with pytest.raises(RunError, match=r"weights.safetensors is missing, the run was not finished"):
        run.parameters()
    run.update_record(status="finished")
    with pytest.raises(RunError, match=r"is missing from a run that was finished with it: put it"):
        run.parameters()


def test_samples_cut_short_are_one_sentence(run: Run) -> None:
    (run.path / "samples.npz").write_bytes(b"PK")
    with pytest.raises(RunError, match=r"must hold small pictures, .* delete the file"):
        run.samples()


def test_a_history_cut_short_is_one_sentence(run: Run) -> None:
    (run.path / "history.jsonl").write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(RunError, match=r"line 2 must be JSON, .* train --resume"):
        run.history()


def test_a_library_s_words_for_a_full_disk_become_a_storage_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    from convoscope.runs import files

    def full(*_: object) -> None:
        raise SafetensorError(
            f"Error while serializing: I/O error: No space left on device (os error {errno.ENOSPC})"
        )

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(StorageError, match="needs more room than the disk has left: free some"):
        run.write_parameters({"w": np.zeros(3)})


def test_an_interrupted_write_leaves_the_record_as_it_was(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run.update_record(status="finished")
    assert run.record() == RECORD
    assert [file.name for file in run.path.iterdir()] == ["run.json"]


def test_what_is_frozen_is_linked_and_read_with_what_was_learnt(tmp_path: Path) -> None:
    frozen, learnt = np.ones((2, 3), np.float32), np.zeros(4, np.float32)
    save_file({"conv.weight": frozen, "fc.bias": learnt + 1}, tmp_path / "frozen.safetensors")
    run = Run(tmp_path / "r")
    run.write_parameters({"fc.bias": learnt})
    size = size_on_disk(run)
    run.keep_frozen(tmp_path / "frozen.safetensors")
    kept = run.path / "model" / "frozen.safetensors"
    assert kept.samefile(tmp_path / "frozen.safetensors")
    assert size_on_disk(run) == size  # deleting the run would not free what others hold too
    parameters = run.parameters()
    np.testing.assert_array_equal(parameters["conv.weight"], frozen)
    np.testing.assert_array_equal(parameters["fc.bias"], learnt)


def test_where_the_disk_has_no_links_what_is_frozen_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    save_file({"a": np.ones(3, np.float32)}, tmp_path / "frozen.safetensors")
    run = Run(tmp_path / "r")
    run.keep_frozen(tmp_path / "frozen.safetensors")
    kept = run.path / "model" / "frozen.safetensors"
    assert not kept.samefile(tmp_path / "frozen.safetensors")
    assert kept.read_bytes() == (tmp_path / "frozen.safetensors").read_bytes()

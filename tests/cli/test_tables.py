"""Tables and arrays from the words of the command line to the run, the report and back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder

from convoscope.cli import tables
from convoscope.metrics.intervals import Figure
from convoscope.runs import Run

QUICK = ("--epochs", "2", "--batch", "8", "--engine", "numpy")
COLUMNS = ("--label-column", "kind", "--label-column", "side")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """36 images in a table: what is drawn, in three kinds, and a side; a split; a path too many."""
    folder = draw_folder(tmp_path / "drawn", per_class=12)
    rows = [
        (f"drawn/{file.parent.name}/{file.name}", "x", file.parent.name, number % 2)
        for kind in sorted(folder.iterdir())
        for number, file in enumerate(sorted(kind.iterdir()))
    ]
    path = tmp_path / "things.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "note", "kind", "side", "part"])
        for number, (file, note, kind, side) in enumerate(rows):
            part = ("train", "train", "val", "test")[number // 2 % 4]
            writer.writerow([file, note, kind, "left" if side else "right", part])
    return path


def heads_of(run: Run) -> dict[str, tuple[str, ...]]:
    return {name: head.class_names for name, head in run.predictions("test").heads.items()}


def test_a_loss_that_went_astray_is_a_power_of_ten() -> None:
    assert tables.number(Figure(2.7618e37, None, None)) == "2.76e+37"
    assert tables.number(Figure(999_999.0, None, None)) == "999999.0000"


def test_two_label_columns_become_two_heads_of_a_network_that_has_one(
    convoscope: Convoscope, table: Path, tiny: Path
) -> None:
    result = convoscope("train", table, "-m", tiny, *QUICK, *COLUMNS, "-o", "r")
    assert result.exit_code == 0, result.stderr
    run = Run(Path("r"))
    assert heads_of(run) == {"kind": ("bars", "disc", "poles"), "side": ("left", "right")}
    note = "tiny has one head and the data labels 2 (kind, side): each has its own copy of it"
    assert note in run.record().every_note
    assert f"note: {note}" in result.stdout
    assert {"kind-dense.weight", "side-dense.weight"} <= run.parameters().keys()
    lines = [line.split()[:2] for line in result.stdout.splitlines() if line.startswith("test")]
    assert lines == [["test", "kind"], ["test", "side"], ["test", "all"]]
    page = run.report_file.read_text(encoding="utf-8")
    assert "kind-dense" in page
    assert note in page


def test_the_recorded_command_asks_for_the_same_again(
    convoscope: Convoscope, table: Path, tiny: Path
) -> None:
    words = (
        *("--image-column", "file", "--split-column", "part", "--head-weight", "side=0.5"),
        *("--rate", "conv=0.0", "--watch", "test", "--watch", "train"),
    )
    result = convoscope(
        *("train", table, "-m", tiny, *QUICK, *COLUMNS, *words, "-o", "r", "--no-report")
    )
    assert result.exit_code == 0, result.stderr
    record = Run(Path("r")).record()
    asked = list(zip(record.command, record.command[1:], strict=False))
    for pair in zip((*COLUMNS, *words)[::2], (*COLUMNS, *words)[1::2], strict=True):
        assert pair in asked
    (where,) = (i for i, word in enumerate(record.command) if word == "--out")
    again = convoscope(*record.command[1:where], "--out", "again", "--no-report")
    assert again.exit_code == 0, again.stderr
    assert Run(Path("again")).record().settings == record.settings
    for name in ("model/weights.safetensors", "predictions/test.npz"):
        assert Path("r", name).read_bytes() == Path("again", name).read_bytes()


def test_the_same_stands_in_a_settings_file(
    convoscope: Convoscope, table: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text(
        f"model: {tiny}\nepochs: 1\nengine: numpy\nlabel-column: kind\nwatch: test\n"
        "rate: {conv: 0.5}\nhead-weight:\n  class: 2\n"
    )
    result = convoscope("train", table, "--settings", "s.yaml", "-o", "r", "--no-report")
    assert result.exit_code == 0, result.stderr
    settings = Run(Path("r")).record().settings
    assert (settings["label_column"], settings["watch"]) == (["kind"], ["test"])
    assert (settings["rate"], settings["head_weight"]) == ({"conv": 0.5}, {"class": 2.0})
    assert heads_of(Run(Path("r"))) == {"class": ("bars", "disc", "poles")}


def test_predict_and_evaluate_know_all_heads(
    convoscope: Convoscope, table: Path, tiny: Path
) -> None:
    convoscope("train", table, "-m", tiny, *QUICK, *COLUMNS, "-o", "r", "--no-report")
    before = Path("r/predictions/test.npz").read_bytes()
    assert convoscope("evaluate", "r").exit_code == 0
    assert Path("r/predictions/test.npz").read_bytes() == before
    said = json.loads(convoscope("predict", "r", "drawn/bars/bars_0.png", "--json").stdout)
    (image,) = said["images"]
    assert {head: len(best) for head, best in image["heads"].items()} == {"kind": 3, "side": 2}
    result = convoscope("evaluate", "r", table, "--label-column", "side", "--json")
    assert result.exit_code == 0, result.stderr
    heads = json.loads(result.stdout)["splits"]["things"]["heads"]
    assert (heads["side"]["n"], heads["kind"]["n"]) == (36, 0)


def test_options_of_reading_need_data_to_read(
    convoscope: Convoscope, table: Path, tiny: Path
) -> None:
    convoscope("train", table, "-m", tiny, *QUICK, *COLUMNS, "-o", "r", "--no-report")
    result = convoscope("evaluate", "r", "--label-column", "side")
    assert result.exit_code == 2
    assert result.stderr == (
        "convoscope: --label-column says how DATA is read, but none is named, and the run's own "
        "data is read as it was for training: name DATA, or leave the option out\n"
    )


def test_flattened_arrays_are_trained_on_with_their_shape(
    convoscope: Convoscope, tmp_path: Path, tiny: Path
) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 80, (60, 16, 10, 3)) + 80 * labels[:, None, None, None]
    np.savez(tmp_path / "flat.npz", x=images.reshape(60, -1).astype(np.uint8), y=labels)
    words = ("train", "flat.npz", "-m", tiny, *QUICK, "-o", "r", "--no-report")
    refused = convoscope(*words)
    assert refused.exit_code == 2
    assert "--image-shape HEIGHTxWIDTHxCHANNELS" in refused.stderr
    result = convoscope(*words, "--image-shape", "16x10x3")
    assert result.exit_code == 0, result.stderr
    assert "--image-shape 16x10x3" in " ".join(Run(Path("r")).record().command)
    assert convoscope("evaluate", "r").exit_code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--image-shape", "16"), "image_shape must be HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS"),
        (("--image-shape", "16x0"), "such as 28x28 or 32x32x3, got '16x0': write it like that"),
        (("--head-weight", "kind"), "--head-weight: must be followed by HEAD=W, such as angle=2"),
        (("--head-weight", "kind=x"), "head_weight: must be a valid number, got 'x'"),
        (("--head-weight", "knd=1"), "there is no head 'knd': did you mean 'kind'?"),
        (("--head-weight", "kind=-1"), "head_weights: that of 'kind' must be at least 0"),
        (("--rate", "conv"), "--rate: must be followed by PREFIX=R, such as conv1=0, got 'conv'"),
        (("--rate", "cnv=1"), "there is no layer 'cnv': did you mean 'conv'?"),
        (("--rate", "conv=1", "--rate", "conv=0"), "each name must be there once, 'conv' is there"),
        (("--watch", "test", "--test", "0"), "--watch test: a split that is watched must have im"),
        (("--image-column", "fil"), "did you mean 'file'"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_leaves_no_folder(
    convoscope: Convoscope, table: Path, tiny: Path, words: tuple[str, ...], sentence: str
) -> None:
    table.write_text(
        "\n".join(line.rpartition(",")[0] for line in table.read_text().splitlines())
    )  # without a split
    result = convoscope("train", table, "-m", tiny, *QUICK, *COLUMNS, *words, "-o", "r")
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("convoscope")]
    assert pytest.RaisesExc(Exception, match=sentence).matches(Exception(line))
    assert not Path("r").exists()


def test_a_frozen_layer_stays_as_it_began(convoscope: Convoscope, table: Path, tiny: Path) -> None:
    words = ("train", table, "-m", tiny, "-b", "8", "--engine", "numpy", *COLUMNS, "--no-report")
    convoscope(*words, "--rate", "conv=0", "-e", "1", "-o", "one")
    convoscope(*words, "--rate", "conv=0", "-e", "3", "--patience", "0", "-o", "three")
    one, three = Run(Path("one")).parameters(), Run(Path("three")).parameters()
    assert np.array_equal(one["conv.weight"], three["conv.weight"])
    assert not np.array_equal(one["kind-dense.weight"], three["kind-dense.weight"])


def test_a_head_without_weight_learns_nothing(
    convoscope: Convoscope, table: Path, tiny: Path
) -> None:
    words = ("train", table, "-m", tiny, "-e", "1", "--engine", "numpy", *COLUMNS, "--no-report")
    for rate in ("0.001", "0.01"):
        convoscope(*words, "--head-weight", "side=0", "-l", rate, "-o", rate)
    slow, fast = Run(Path("0.001")).parameters(), Run(Path("0.01")).parameters()
    assert np.array_equal(slow["side-dense.weight"], fast["side-dense.weight"])
    assert not np.array_equal(slow["kind-dense.weight"], fast["kind-dense.weight"])


def test_watched_splits_have_curves_and_decide_nothing(
    convoscope: Convoscope, table: Path, tiny: Path
) -> None:
    words = ("train", table, "-m", tiny, "-b", "8", "--engine", "numpy", *COLUMNS, "-e", "3")
    convoscope(*words, "-o", "plain", "--no-report")
    result = convoscope(*words, "-o", "r", "--watch", "test", "--watch", "train")
    assert result.exit_code == 0, result.stderr
    plain, run = Run(Path("plain")), Run(Path("r"))
    assert {"test_loss", "test_accuracy/kind", "train_evaluated_loss", "train_accuracy"} <= (
        run.history()[0].keys() - plain.history()[0].keys()
    )
    assert run.record().best_epoch == plain.record().best_epoch
    for name in ("model/weights.safetensors", "predictions/test.npz"):
        assert Path("r", name).read_bytes() == Path("plain", name).read_bytes()
    page = run.report_file.read_text(encoding="utf-8")
    assert "The curves of the test and train images were recorded too, and no choice used" in page
    best = run.history()[run.record().best_epoch - 1]
    said = run.predictions("test").heads["kind"]
    right = (said.predicted() == said.labels)[said.labels >= 0].mean()
    assert best["test_accuracy/kind"] == pytest.approx(right)


@pytest.mark.parametrize("command", ["check", "info", "split", "preview"])
def test_data_commands_read_a_table_as_train_does(
    convoscope: Convoscope, table: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "tables").mkdir()
    moved = table.rename(tmp_path / "tables" / table.name)
    words = ("data", command, moved, *COLUMNS, "--split-column", "part")
    assert convoscope(*words).exit_code == 2
    result = convoscope(*words, "--image-root", tmp_path)
    assert result.exit_code in ((0, 1) if command == "check" else (0,)), result.stderr


def test_training_says_how_to_check_that_very_reading(
    convoscope: Convoscope, tmp_path: Path, tiny: Path
) -> None:
    """Discs are wide here, so that a shortcut is there to be told."""
    folder = draw_folder(tmp_path / "drawn", ("bars", "poles"), per_class=20)
    draw_folder(folder, ("x", "y", "disc"), per_class=20, size=(16, 40))
    rows = [f"{file.relative_to(folder)},{file.parent.name}" for file in folder.rglob("*.png")]
    (tmp_path / "d.csv").write_text("\n".join(["file,kind", *sorted(rows)]))
    asked = ("--label-column", "kind", "--image-root", "drawn")
    result = convoscope("train", "d.csv", "-m", tiny, *QUICK, *asked, "-o", "r", "--no-report")
    assert result.exit_code == 0, result.stderr
    (note,) = [note for note in Run(Path("r")).record().every_note if "data check:" in note]
    _, _, command = note.partition("; see  ")
    assert command == "convoscope data check d.csv --label-column kind --image-root drawn"
    assert convoscope(*command.split()[1:], "--no-page").exit_code == 1


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.71, 0.867, "0.710 to 0.867"),
        (0.99975, 1.0, "0.9998 to 1.0000"),
        (0.0, 0.0004, "0.0000 to 0.0004"),
        (1.0, 1.0, "1.000 to 1.000"),
    ],
)
def test_an_interval_near_an_end_keeps_it_apart(low: float, high: float, said: str) -> None:
    assert tables.interval(Figure(0.5, low, high)) == said

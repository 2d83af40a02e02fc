"""``convoscope train`` from the words to the files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope

from convoscope.metrics.mistakes import most_confident_mistakes
from convoscope.pictures.thumbnails import data_uri
from convoscope.runs import Run

QUICK = ("--epochs", "2", "--batch", "8", "--engine", "numpy")


def test_a_folder_becomes_a_run_with_a_report(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    result = convoscope("train", shapes_folder, "-m", tiny, *QUICK)
    assert result.exit_code == 0, result.stderr
    run = Run(Path("runs/shapes-tiny-1"))
    assert run.record().status == "finished"
    assert run.splits() == ("train", "validation", "test")
    assert len(run.history()) == 2
    assert run.report_file.stat().st_size > 10_000
    assert not (run.path / "checkpoint").exists()
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["split", "images", "accuracy", "95%"]
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["train", "24"],
        ["validation", "12"],
        ["test", "12"],
    ]
    assert "report  runs/shapes-tiny-1/report.html" in lines
    assert "epoch 2/2  loss " in result.stderr


def test_the_record_says_how_to_do_it_again(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path, tmp_path: Path
) -> None:
    convoscope("train", "shapes", "-m", "tiny.yaml", *QUICK, "--seed", "5", "-q", "--no-report")
    record = Run(Path("runs/shapes-tiny-1")).record()
    assert record.command == (
        *("convoscope", "train", "shapes", "--model", "tiny.yaml", "--epochs", "2"),
        *("--batch", "8", "--seed", "5", "--engine", "numpy"),
    )
    again = convoscope(*record.command[1:], "--out", "again", "--no-report")
    assert again.exit_code == 0, again.stderr
    assert_same_outcome(Path("runs/shapes-tiny-1"), Path("again"))
    assert record.settings["data"] == str(tmp_path / "shapes")
    assert record.data["counts"] == {"train": 24, "validation": 12, "test": 12}
    assert {"python", "numpy", "convoscope"} <= record.versions.keys()
    assert record.machine["cores"] >= 1


def test_quiet_and_without_report_only_the_summary_is_said(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    result = convoscope("train", shapes_folder, "-m", tiny, *QUICK, "-q", "--no-report")
    assert result.stderr == ""
    assert not any(line.startswith("report") for line in result.stdout.splitlines())
    assert not Path("runs/shapes-tiny-1/report.html").exists()


def test_digits_need_no_folder_and_bring_their_own_size(convoscope: Convoscope) -> None:
    result = convoscope(
        *("train", "digits", "-m", "flexible", "--set", "blocks=1", "--set", "filters=4"),
        *("--engine", "numpy", "-e", "1", "-b", "256", "--no-report"),
    )
    assert result.exit_code == 0, result.stderr
    run = Run(Path("runs/digits-flexible-1"))
    assert run.model()["preprocessing"]["size"] == [8, 8]
    assert run.model()["preprocessing"]["order"] == "gray"


def test_options_override_the_settings_file(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text(f"model: {tiny}\nepochs: 3\nbatch: 12\nengine: numpy\n")
    words = ("train", shapes_folder, "--settings", "s.yaml", "-e", "1", "-o", "r", "--no-report")
    assert convoscope(*words).exit_code == 0
    settings = Run(Path("r")).record().settings
    assert (settings["epochs"], settings["batch"], settings["model"]) == (1, 12, str(tiny))


@pytest.mark.parametrize("several", [(), ("--folds", "2"), ("--seeds", "2")])
def test_a_settings_file_may_name_the_run_s_folder(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path, several: tuple[str, ...]
) -> None:
    Path("s.yaml").write_text(f"model: {tiny}\nepochs: 1\nengine: numpy\nout: mine\n")
    words = ("train", shapes_folder, "--settings", "s.yaml", "--no-report", *several)
    result = convoscope(*words)
    assert result.exit_code == 0, result.stderr
    assert Run(Path("mine")).record().command[-2:] == ("--out", "mine")
    assert "mine: a new run needs a folder of its own" in convoscope(*words).stderr
    assert convoscope(*words, "-o", "other").exit_code == 0
    assert Run(Path("other")).record().status == "finished"


def test_a_zoo_network_s_options_are_passed_on(convoscope: Convoscope, shapes_folder: Path) -> None:
    result = convoscope(
        *("train", shapes_folder, "-m", "flexible", "--input", "16", "-o", "r", "--no-report"),
        *("--set", "blocks=1", "--set", "filters=4", *QUICK),
    )
    assert result.exit_code == 0, result.stderr
    assert Run(Path("r")).record().settings["set"] == {"blocks": 1, "filters": 4}
    assert "filters: 4" in Run(Path("r")).architecture_file.read_text()


def test_a_run_starts_from_another_and_says_what_is_fresh(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path, make_two_classes: Path
) -> None:
    convoscope("train", shapes_folder, "-m", tiny, *QUICK, "-o", "first", "--no-report")
    result = convoscope(
        *("train", make_two_classes, "-m", tiny, *QUICK, "-o", "second", "--no-report"),
        *("--from", "first"),
    )
    assert result.exit_code == 0, result.stderr
    (note,) = Run(Path("second")).record().notes
    assert note.endswith("first (2 of 4); freshly initialised: dense")
    assert f"note: {note}" in result.stdout


def test_starting_from_a_run_that_shares_nothing_is_refused(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    convoscope("train", shapes_folder, "-m", tiny, *QUICK, "-o", "first", "--no-report")
    result = convoscope(
        *("train", shapes_folder, "-m", "own-net", "--input", "3x16x16", *QUICK),
        *("--from", "first", "--no-report"),
    )
    assert result.exit_code == 2
    assert "none of its 4 has: choose another run" in result.stderr
    assert not Path("runs").exists()


def test_a_split_is_used_again(
    convoscope: Convoscope, make_image_folder: object, tiny: Path, tmp_path: Path
) -> None:
    from tests.conftest import draw_folder

    draw_folder(tmp_path / "flat", per_class=10)
    words = ("train", "flat", "-m", tiny, *QUICK, "--no-report")
    convoscope(*words, "-o", "a", "--seed", "1")
    convoscope(*words, "-o", "b", "--seed", "2", "--split", "a/split.csv")
    convoscope(*words, "-o", "c", "--seed", "2")
    tests = [Run(Path(name)).predictions("test").ids for name in "abc"]
    assert tests[0] == tests[1]
    assert tests[0] != tests[2]


def test_without_validation_the_epochs_are_fixed(
    convoscope: Convoscope, tiny: Path, tmp_path: Path
) -> None:
    from tests.conftest import draw_folder

    draw_folder(tmp_path / "flat", per_class=10)
    result = convoscope(
        *("train", "flat", "-m", tiny, *QUICK, "--validation", "0", "-o", "r", "--no-report")
    )
    assert result.exit_code == 0, result.stderr
    run = Run(Path("r"))
    assert run.splits() == ("train", "test")
    assert (run.record().epochs, run.record().best_epoch) == (2, 2)


@pytest.mark.parametrize(
    "options",
    [
        ("--optimiser", "sgd", "--momentum", "0.9", "--nesterov", "--weight-decay", "0.01"),
        ("--optimizer", "adamw", "--schedule", "cosine", "--warmup", "1"),
        ("--schedule", "step", "--schedule-every", "1", "--schedule-factor", "0.5"),
        ("--schedule", "plateau", "--class-weights", "balanced", "--label-smoothing", "0.1"),
        ("--augment", "light", "--patience", "0", "--resize", "crop", "--precision", "float64"),
    ],
    ids=" ".join,
)
def test_every_option_takes_effect_and_is_recorded(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path, options: tuple[str, ...]
) -> None:
    result = convoscope(
        *("train", shapes_folder, "-m", tiny, *QUICK, *options, "-o", "r", "--no-report")
    )
    assert result.exit_code == 0, result.stderr
    words = Run(Path("r")).record().command
    for option in options:
        assert option.replace("optimizer", "optimiser") in words


def test_an_out_folder_that_holds_a_run_is_refused(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    words = ("train", shapes_folder, "-m", tiny, *QUICK, "-o", "r", "--no-report")
    assert convoscope(*words).exit_code == 0
    result = convoscope(*words)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "convoscope: r: a new run needs a folder of its own, this one holds a finished run: "
        "choose another --out, or first  convoscope runs rm r"
    )


def test_a_finished_run_is_not_gone_on_with(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    convoscope("train", shapes_folder, "-m", tiny, *QUICK, "-o", "r", "--no-report")
    result = convoscope("train", "--resume", "r")
    assert result.exit_code == 2
    assert "this one is finished: to train it further, start a new one with --from" in result.stderr


def test_going_on_needs_the_same_images(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    convoscope("train", shapes_folder, "-m", tiny, *QUICK, "-o", "r", "--no-report")
    Run(Path("r")).update_record(status="interrupted")
    one = shapes_folder / "train" / "bars" / "bars_0.png"
    content = one.read_bytes()
    one.with_name("new.png").write_bytes((shapes_folder / "test/disc/disc_0.png").read_bytes())
    result = convoscope("train", "--resume", "r")
    assert result.exit_code == 2
    assert "put the images back as they were, or train again" in result.stderr
    one.with_name("new.png").unlink()
    one.unlink()
    result = convoscope("train", "--resume", "r")
    assert result.exit_code == 2
    assert "train/bars/bars_0.png" in result.stderr
    one.write_bytes(content)
    assert convoscope("train", "--resume", "r").exit_code == 0


def assert_same_outcome(one: Path, other: Path) -> None:
    """The same weights and the same predictions, byte for byte."""
    names = ["model/weights.safetensors", *(f"predictions/{split}.npz" for split in SPLITS)]
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


SPLITS = ("train", "validation", "test")


@pytest.fixture
def make_two_classes(tmp_path: Path) -> Path:
    from tests.conftest import draw_folder

    splits = {"train": 8, "val": 4, "test": 4}
    return draw_folder(tmp_path / "two", classes=("bars", "poles"), splits=splits)


def test_report_again_prints_where_it_is(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    convoscope("train", shapes_folder, "-m", tiny, *QUICK, "-o", "r", "--no-report")
    assert convoscope("report", "r").stdout == "r/report.html\n"
    assert Path("r/report.html").exists()
    assert json.loads(Path("r/run.json").read_text())["schema_version"] == 1


def test_a_report_may_go_elsewhere(convoscope: Convoscope, shapes_folder: Path, tiny: Path) -> None:
    convoscope("train", shapes_folder, "-m", tiny, *QUICK, "-o", "r", "--no-report")
    assert convoscope("report", "r", "--out", "new/tiny.html").stdout == "new/tiny.html\n"
    assert not Path("r/report.html").exists()
    convoscope("report", "r")
    assert Path("new/tiny.html").read_text() == Path("r/report.html").read_text()
    refused = convoscope("report", "r", "--out", "new")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "new: a file must be named, this is a folder: add a file's name" in refused.stderr


def test_mistakes_on_other_data_show_their_own_pictures(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path, tmp_path: Path
) -> None:
    """Also where an image of the other data has the id of one of the run's."""
    from tests.conftest import draw_folder

    draw_folder(tmp_path / "flat", per_class=10)
    other = draw_folder(tmp_path / "other", ("poles", "disc", "bars"), per_class=12)
    convoscope("train", "flat", "-m", tiny, *QUICK, "-o", "r")
    run = Run(Path("r"))
    before = run.samples()
    assert convoscope("evaluate", "r", other).exit_code == 0
    said = run.predictions("other")
    shown = [f"other: {mistake.id}" for mistake in most_confident_mistakes(said, "class")]
    after = run.samples()
    assert shown
    assert after.keys() - before.keys() == set(shown)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    shared = [name for name in shown if name.removeprefix("other: ") in before]
    assert shared
    assert not any(
        np.array_equal(after[name], before[name.removeprefix("other: ")]) for name in shared
    )
    assert convoscope("report", "r").exit_code == 0
    page = run.report_file.read_text(encoding="utf-8")
    assert all(data_uri(after[name]) in page for name in shown)


def test_as_json_one_object_says_where_the_run_is_and_what_came_out(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    words = ("train", shapes_folder, "-m", tiny, *QUICK, "-o", "r", "--json")
    result = convoscope(*words)
    assert result.exit_code == 0, result.stderr
    assert "epoch 2/2" in result.stderr
    content = json.loads(result.stdout)
    assert list(content) == [
        *("run", "report", "status", "epochs", "best_epoch", "seconds", "notes", "splits")
    ]
    assert (content["run"], content["report"]) == ("r", "r/report.html")
    assert (content["status"], content["epochs"]) == ("finished", 2)
    again = json.loads(convoscope("evaluate", "r", "--json").stdout)
    assert content["splits"] == again["splits"]
    assert list(again) == ["run", "splits"]


def test_as_json_without_a_report_and_with_seeds(
    convoscope: Convoscope, shapes_folder: Path, tiny: Path
) -> None:
    words = ("train", shapes_folder, "-m", tiny, *QUICK, "-o", "r", "--json", "--no-report", "-q")
    result = convoscope(*words, "--seeds", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    content = json.loads(result.stdout)
    assert content["report"] is None
    shown = json.loads(convoscope("runs", "show", "r", "--json").stdout)
    assert content["parts"] == shown["parts"]
    assert len(content["parts"]["parts"]) == 2

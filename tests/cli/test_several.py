"""``train --folds`` and ``--seeds`` on the command line: progress, tables, lists, refusals."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder

from convoscope.runs import open_run

FAST = ("--engine", "numpy", "--epochs", 2, "--batch", 8)


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Three classes, ten pictures of each."""
    return draw_folder(tmp_path / "shapes", per_class=10)


def test_folds_are_told_one_by_one_and_together(
    convoscope: Convoscope, shapes: Path, tiny: Path
) -> None:
    result = convoscope("train", shapes, "-m", tiny, "--folds", 3, *FAST)
    assert result.exit_code == 0
    for number in (1, 2, 3):
        assert f"fold {number} of 3: runs/shapes-tiny-1/folds/{number}" in result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[:2] for row in rows[1:5]] == [
        ["1", "10"],
        ["2", "10"],
        ["3", "10"],
        ["pooled", "30"],
    ]
    assert "mean of folds" in result.stdout
    assert "pooled over all folds" in result.stdout
    assert "Any two of the 3 networks were trained on about 50" in result.stdout
    assert Path("runs/shapes-tiny-1/report.html").exists()


def test_the_table_of_folds_adds_up(convoscope: Convoscope, shapes: Path, tiny: Path) -> None:
    result = convoscope("train", shapes, "-m", tiny, "--folds", 3, *FAST, "-q", "--no-report")
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines()[1:5]}
    right = sum(round(int(rows[k][1]) * float(rows[k][2])) for k in ("1", "2", "3"))
    assert float(rows["pooled"][2]) == pytest.approx(right / 30, abs=0.0001)
    assert not Path("runs/shapes-tiny-1/report.html").exists()


def test_seeds_say_which_doubt_is_which(convoscope: Convoscope, shapes: Path, tiny: Path) -> None:
    result = convoscope("train", shapes, "-m", tiny, "--seeds", 2, "--seed", 5, *FAST)
    assert result.exit_code == 0
    assert "seed 2 of 2: runs/shapes-tiny-1/seeds/6" in result.stderr
    assert "accuracy with another seed on these images: mean" in result.stdout
    assert "accuracy on other images: mean of these 2 networks" in result.stdout
    assert Path("runs/shapes-tiny-1/report.html").exists()


def test_runs_list_and_show_know_them(convoscope: Convoscope, shapes: Path, tiny: Path) -> None:
    convoscope("train", shapes, "-m", tiny, "--folds", 2, *FAST, "-q", "--no-report")
    convoscope("train", shapes, "-m", tiny, "--seeds", 2, *FAST, "-q", "--no-report")
    folds, seeds = json.loads(convoscope("runs", "list", "--json").stdout)["runs"]
    assert (folds["status"], seeds["status"]) == ("finished, 2 folds", "finished, 2 seeds")
    shown = json.loads(convoscope("runs", "show", "runs/shapes-tiny-1", "--json").stdout)
    assert folds["test_accuracy"] == shown["splits"]["out-of-fold"]["whole"]["accuracy"]["value"]
    assert [part["part"] for part in shown["parts"]["parts"]] == ["folds/1", "folds/2"]
    mean = json.loads(convoscope("runs", "show", "runs/shapes-tiny-2", "--json").stdout)
    assert seeds["test_accuracy"] == pytest.approx(mean["parts"]["over_parts"]["accuracy"]["mean"])
    text = convoscope("runs", "show", "runs/shapes-tiny-2").stdout
    assert "seeds/0, seeds/1" in text
    assert "--seeds 2" in text


def test_ctrl_c_says_how_to_go_on_and_that_ends_it(
    convoscope: Convoscope, shapes: Path, tiny: Path
) -> None:
    """Ctrl-C while the first fold is trained, from another thread."""

    def press() -> None:
        history = Path("runs/shapes-tiny-1/folds/1/history.jsonl")
        while not history.exists():
            if stop.wait(0.005):
                return
        signal.raise_signal(signal.SIGINT)

    stop = threading.Event()
    presser = threading.Thread(target=press)
    presser.start()
    asked = ("--engine", "numpy", "--epochs", 60, "--patience", 0, "--batch", 8, "--folds", 2)
    result = convoscope("train", shapes, "-m", tiny, *asked)
    stop.set()
    presser.join()
    assert result.exit_code == 130
    assert "interrupted; go on with  convoscope train --resume runs/shapes-tiny-1" in result.stdout
    assert open_run("runs/shapes-tiny-1").record().status == "interrupted"
    assert not Path("runs/shapes-tiny-1/folds/2").exists()
    again = convoscope("train", "--resume", "runs/shapes-tiny-1", "-q")
    assert again.exit_code == 0
    assert "pooled over all folds" in again.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--folds", 2, "--seeds", 2), "--folds and --seeds: one run answers one question, got b"),
        (("--folds", 1), "folds must be at least 2, so that there are images to train on, got 1"),
        (("--seeds", 1), "seeds must be at least 2 to show a spread, got 1"),
        (("--folds", 11), "a class must have at least 11 images, 'bars' (class) has 10: take 10"),
        (("--folds", 2, "--test", 0.3), "tests every image in one fold, got test too"),
        (("--group-by", "patient"), "only a table has columns"),
        (("--group-by", r"\d+"), "must have one pair of parentheses around what names the group"),
        (("--group-by", "frame*_"), "must be found in the images' paths, it is in none of 30"),
    ],
)
def test_bad_input_is_one_sentence(
    convoscope: Convoscope, shapes: Path, tiny: Path, words: tuple[object, ...], sentence: str
) -> None:
    result = convoscope("train", shapes, "-m", tiny, *FAST, *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") <= 2
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_a_run_goes_on_with_its_own_folds(convoscope: Convoscope) -> None:
    result = convoscope("train", "--resume", "runs/x", "--folds", 3)
    assert result.exit_code == 2
    assert "a run goes on with its own settings, got --folds too" in result.stderr


def test_grouped_training_notes_its_groups(
    convoscope: Convoscope, shapes: Path, tiny: Path
) -> None:
    result = convoscope("train", shapes, "-m", tiny, *FAST, "--group-by", "_(.).png")
    assert result.exit_code == 0
    assert "30 images are 10 groups by '_(.).png', the largest has 3" in result.stdout
    groups: dict[str, set[str]] = {}
    for line in Path("runs/shapes-tiny-1/split.csv").read_text().splitlines()[1:]:
        name, _, split, _ = line.split(",")
        groups.setdefault(name[-5], set()).add(split)
    assert {len(splits) for splits in groups.values()} == {1}

"""``convolve`` on the command line: sizes, filter and run; mistakes in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder

from convoscope.runs import Run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """One picture of bars."""
    return draw_folder(tmp_path / "p", classes=("bars",), per_class=1) / "bars" / "bars_0.png"


def test_sizes_and_values_are_printed_and_a_run_is_made(
    convoscope: Convoscope, picture: Path
) -> None:
    result = convoscope("convolve", picture, "--filter", "sobel-x", "--size", "224")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "-2.0000 0.0000 2.0000" in lines
    sizes = "conv1 (224 − 3 + 2 × 0) / 1 + 1 = 222 222 × 222 222 × 222 222 × 222"
    assert sizes in lines
    run = Run(Path("runs/convolve-sobel-x-1"))
    assert f"run {run.path}" in lines
    assert run.report_file.exists()


def test_the_lists_know_the_run(convoscope: Convoscope, picture: Path) -> None:
    convoscope("convolve", picture, "--size", "16", "-o", "runs/a")
    (row,) = json.loads(convoscope("runs", "list", "--json").stdout)["runs"]
    assert (row["model"], row["data"], row["epochs"]) == ("filter kaiming", "bars_0", None)
    shown = convoscope("runs", "show", "runs/a").stdout
    assert "convolve" in shown
    assert "epoch" not in shown
    Path("runs/a/report.html").unlink()
    assert convoscope("report", "runs/a").stdout.strip() == "runs/a/report.html"


def test_json(convoscope: Convoscope, picture: Path) -> None:
    said = json.loads(
        convoscope("convolve", picture, "--layers", "2", "--size", "16", "--json").stdout
    )
    assert [layer["obtained"] for layer in said["layers"]] == [[32, 14, 14], [64, 12, 12]]
    assert [layer["expected"] for layer in said["layers"]] == [14, 12]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--size", "2"), "layer 'conv1' (1 of 1): a 3x3 kernel with padding 0 does not fit"),
        (("--stride", "0"), "stride must be an int >= 1, got 0"),
        (("--filter", "1 2; 3"), "--filter: the rows of a filter must be equally long, got rows"),
        (("--filter", "1 nan; 3 4"), "--filter: a filter must hold finite numbers, got nan"),
        (("--filter", "sobel-z"), "there is no filter or file 'sobel-z': did you mean 'sobel-y'?"),
        (("--layers", "7"), "--layers must be 1 or 2, got 7"),
    ],
)
def test_mistakes_are_one_sentence(
    convoscope: Convoscope, picture: Path, words: tuple[str, ...], sentence: str
) -> None:
    result = convoscope("convolve", picture, *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("runs").exists()


def test_no_such_image(convoscope: Convoscope) -> None:
    result = convoscope("convolve", "cat.jpg")
    assert result.exit_code == 2
    assert "cat.jpg: there is no such image or folder" in result.stderr


def test_a_run_of_filters_predicts_nothing(convoscope: Convoscope, picture: Path) -> None:
    convoscope("convolve", picture, "--size", "16", "-o", "r", "--no-report")
    for words in (("predict", "r", picture), ("twin", "r")):
        result = convoscope(*words)
        assert result.exit_code == 2
        assert "which trained no network: name another" in result.stderr

"""``convoscope ladder``: what it prints, and how it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.measure import Measurement
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder
from tests.jobs.conftest import Install
from tests.jobs.conftest import install as install  # the fixture
from tests.report.test_ladder_page import found as found  # the fixture

from convoscope.cli.climbing import Said, _accuracies, _costs
from convoscope.runs.ladder import Ladder


@pytest.fixture
def shapes(tmp_path: Path, install: Install) -> Path:
    """Three shapes, and a small backbone under the name of vgg19."""
    install()
    return draw_folder(tmp_path / "shapes", splits={"train": 8, "val": 4, "test": 4})


@pytest.mark.slow
def test_a_ladder_is_climbed_shown_and_reported(convoscope: Convoscope, shapes: Path) -> None:
    words = ("ladder", shapes, "--backbone", "vgg19", "--strategies", "svm,last", "--seeds", 1)
    result = convoscope(*words, "-e", 2, "--engine", "numpy", "--climb-all", "--out", "out")
    assert result.exit_code == 0, result.stderr
    assert "1/2  vgg19 " in result.stderr
    assert "points of validation accuracy (" in result.stdout
    assert "Take vgg19 " in result.stdout
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert "Take vgg19 " in page
    command = re.sub(r"</?span[^>]*>", "", page).replace(" --epochs 2", "")
    assert "--strategies svm,last --seeds 1 --climb-all --engine numpy" in command
    assert convoscope("report", "out").stdout.strip() == "out/report.html"
    assert convoscope("report", "out", "-o", "page.html").stdout.strip() == "page.html"
    assert Path("page.html").read_text(encoding="utf-8") == page
    assert "ladder" in convoscope("runs", "show", "out").stdout
    other = convoscope("train", "--resume", "out")
    assert other.exit_code == 2
    assert "this is a ladder: go on with  convoscope ladder --resume out" in other.stderr
    again = convoscope("ladder", "--resume", "out")
    assert again.exit_code == 2
    assert "nothing is left of this one" in again.stderr


@pytest.mark.slow
def test_json_of_learning_curves_has_every_documented_key(
    convoscope: Convoscope, shapes: Path, tiny: Path
) -> None:
    words = ("ladder", shapes, "--backbone", "vgg19", "--strategies", "svm", "--seeds", 1)
    more = ("--fractions", "0.5,1", "-m", tiny, "-e", 1, "--engine", "numpy", "--json", "-q")
    result = convoscope(*words, *more)
    assert result.stderr == ""
    content = json.loads(result.stdout)
    assert set(content) == {
        *("run", "report", "seeds", "images", "test_images", "level", "curves", "sentence"),
        *("missing", "notes"),
    }
    assert [len(curve["points"]) for curve in content["curves"]] == [2, 2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--backbone: a ladder starts from networks that have learnt before, got none"),
        (("--from", "no-run"), "no-run: there is no such run folder"),
        (("--backbone", "vgg91"), "there is no backbone 'vgg91': did you mean 'vgg19'"),
        (("--backbone", "vgg16"), "convoscope weights"),
        (("--backbone", "vgg19", "--strategies", "al"), "there is no strategy 'al'"),
        (("--backbone", "vgg19", "--budget", "ten"), "must be a duration above 0, got 'ten'"),
        (("--backbone", "vgg19", "--fractions", "0,1"), "above 0 and at most 1, got '0'"),
        (
            ("--backbone", "vgg19", "--fractions", "0.01,1", "--input", "16"),
            "0.01 of the 8 training images of 'bars' is none",
        ),
        (("--backbone", "vgg19", "-m", "small"), "--model small: a ladder starts from networks"),
        (("--resume", "none", "--backbone", "vgg19"), "a run goes on with its own settings"),
        (("--resume", "none", "--from", "r"), "a run goes on with its own settings, got --from"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    convoscope: Convoscope, shapes: Path, words: tuple[str, ...], says: str
) -> None:
    data = () if "--resume" in words else (shapes,)
    result = convoscope("ladder", *data, *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_only_ladders_are_climbed_on(convoscope: Convoscope, shapes: Path, tiny: Path) -> None:
    convoscope("train", shapes, "-m", tiny, "-e", 1, "--engine", "numpy", "--out", "r", "-q")
    result = convoscope("ladder", "--resume", "r")
    assert result.exit_code == 2
    assert "ladder --resume climbs on a ladder, this run is one of 'train'" in result.stderr


def test_the_words_of_a_ladder_are_its_command() -> None:
    said = Said(
        backbone="a, b",
        from_run=("runs/c-1", "runs/d-1"),
        strategies=None,
        seeds=2,
        budget="5m",
        climbs_all=True,
        fractions=None,
        model=None,
    )
    assert said.asked().backbones == ("a", "b")
    assert [beginning.name for beginning in said.asked().beginnings] == ["a", "b", "c-1", "d-1"]
    runs = ("--from", "runs/c-1", "--from", "runs/d-1")
    words = ("--backbone", "a, b", "--seeds", "2", "--budget", "5m", *runs, "--climb-all")
    assert said.words() == words


def test_the_tables_fit_a_terminal_of_80_columns(found: Ladder) -> None:
    long = tuple(
        replace(
            rung,
            planned=replace(rung.planned, backbone="squeezenet1_0"),
            parameters=143_667_240,
            learnt=143_667_240,
            seconds=59 * 60.0,
        )
        for rung in found.rungs
    )
    console = Console(width=200)
    for table_of in (_accuracies, _costs):
        table = table_of(replace(found, rungs=long))
        assert Measurement.get(console, console.options, table).maximum <= 80

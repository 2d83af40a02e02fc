"""``maximise`` and its page on the command line: what it prints and writes, and its mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope, looked_at_digits

from convoscope.report import maximise_page
from convoscope.runs import Run
from convoscope.runs.inside_files import open_inside


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network that has looked at digits, one filter of it without weights."""
    run = looked_at_digits(tmp_path_factory.mktemp("maximised"))
    parameters = {name: np.array(values) for name, values in run.parameters().items()}
    parameters["conv.weight"][2] = 0
    parameters["conv.bias"][2] = 0
    run.write_model(run.architecture_file.read_text(), parameters, run.model())
    return run


def test_a_runs_filters_are_drawn_and_a_silent_one_is_said(
    convoscope: Convoscope, run: Run
) -> None:
    result = convoscope("maximise", run.path, "--steps", 40)
    assert result.exit_code == 0
    place = run.path / "favourites" / "1"
    assert result.stdout.splitlines() == [
        "conv: 4 drawn, 1 silent",
        f"folder  {place}",
        f"page    {place / 'favourites.html'}",
    ]
    page = (place / "favourites.html").read_text()
    assert "What excites tiny most: 4 favourite inputs of conv." in page
    assert "1 is silent: no step from a gray picture, nor a way past its ReLU" in page
    (main,) = re.findall("<main>.*</main>", page, re.DOTALL)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", main).lower()
    (place / "favourites.html").unlink()
    assert convoscope("report", place).stdout.strip() == str(place / "favourites.html")
    assert convoscope("report", place, "-o", "page.html").stdout.strip() == "page.html"
    assert Path("page.html").read_text() == (place / "favourites.html").read_text()
    assert (place / "favourites.html").read_text() == page


def test_json_names_every_picture(convoscope: Convoscope, run: Run) -> None:
    words = ("--class", "all", "--layer", "conv", "--steps", 2, "--beside", "digits")
    said = json.loads(convoscope("maximise", run.path, *words, "--json", "-o", "out").stdout)
    assert list(said) == [
        *("folder", "page", "network", "source", "engine", "input_shape", "command", "versions"),
        *("machine", "started", "recipe", "sentence", "steps", "rate", "start", "seed", "beside"),
        *("groups", "arrays", "pictures"),
    ]
    filters, classes = said["groups"]
    assert [filters["kind"], classes["kind"]] == ["filters", "classes"]
    assert list(classes) == ["title", "kind", "layer", "head", "of", "pictures"]
    assert list(classes["pictures"][7]) == [
        *("name", "started", "reached", "peak", "is_silent", "real", "real_image"),
    ]
    assert classes["pictures"][7]["name"] == "7"
    for shown in said["pictures"]:
        assert (Path("out") / shown["file"]).exists()
    page = Path("out/favourites.html").read_text()
    assert "strongest real image" in page
    assert "excite more than the strongest real image does." in page


def test_the_same_command_gives_the_same_pictures(convoscope: Convoscope, run: Run) -> None:
    for out in ("a", "b"):
        convoscope("maximise", run.path, "--steps", 3, "-o", out)
    first, second = (open_inside(Path(out), "favourites").arrays() for out in ("a", "b"))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    assert (Path("a") / "conv" / "0.png").read_bytes() == (
        Path("b") / "conv" / "0.png"
    ).read_bytes()


def test_more_pictures_than_a_page_holds_are_in_the_folder(
    convoscope: Convoscope, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    convoscope("maximise", run.path, "--steps", 1, "-o", "out")
    monkeypatch.setattr(maximise_page, "MOST_PICTURES", 3)
    page = maximise_page.render(open_inside(Path("out"), "favourites"))
    assert "1 more picture is in the folder." in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--layer", "konv"), "there is no layer 'konv': did you mean 'conv'?"),
        (("--filters", "9"), "--filters '9': layer 'conv' has 4 channels, got 9"),
        (("--class", "seven"), "there is no class 'seven'"),
        (("--steps", "0"), "steps must lie in 1 to 10,000, got 0"),
        (("--neuron", "conv"), "--neuron 'conv': a neuron is named layer:row,column,channel"),
        (("--beside", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_one_sentence(
    convoscope: Convoscope, run: Run, words: tuple[str, ...], sentence: str
) -> None:
    result = convoscope("maximise", run.path, *words, "-o", "out")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not Path("out").exists()


def test_a_network_must_be_named(convoscope: Convoscope) -> None:
    result = convoscope("maximise")
    assert result.exit_code == 2
    assert "maximise: one network must be named, a run, or a pretrained one" in result.stderr

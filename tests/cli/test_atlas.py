"""``atlas`` and its page on the command line: what it prints and writes, and its mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Convoscope, looked_at_digits

from convoscope.errors import RunError
from convoscope.report import atlas_page
from convoscope.runs import Run
from convoscope.runs.inside_files import kind_of, open_inside


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network that has looked at digits, one filter of it held down for good."""
    run = looked_at_digits(tmp_path_factory.mktemp("atlas"))
    parameters = {name: np.array(values) for name, values in run.parameters().items()}
    parameters["conv.bias"][1] = -1000
    run.write_model(run.architecture_file.read_text(), parameters, run.model())
    return run


def plain(page: str) -> str:
    """What the page says, without its pictures, its style and its script."""
    (main,) = re.findall("<main>.*</main>", page, re.DOTALL)
    return re.sub(r"base64,[^\"]*", "", main)


def test_a_runs_own_images_make_an_atlas_to_browse(convoscope: Convoscope, run: Run) -> None:
    result = convoscope("atlas", run.path, "--favourites", 0)
    assert result.exit_code == 0
    place = run.path / "atlas" / "1"
    lines = result.stdout.splitlines()
    assert lines[-2:] == [f"folder  {place}", f"page    {place / 'atlas.html'}"]
    assert re.match(r"[0-4] of 4 channels speak for a class: they answer its images", lines[0])
    assert "all 40 intervals hold at once at 95 %" in lines[0]
    assert lines[1].startswith("1 channel is dead, never above 0 in 1,797 images: 1. With 95 %")
    page = (place / "atlas.html").read_text()
    assert "What the 4 channels of conv look for in 1,797 images of digits." in page
    assert "never above 0 in 1,797 images" in page
    assert 'id="channel-3"' in page
    assert 'data-table="atlas"' in page
    assert "nan" not in plain(page).lower()
    (place / "atlas.html").unlink()
    assert convoscope("report", place).stdout.strip() == str(place / "atlas.html")
    assert convoscope("report", place, "-o", "page.html").stdout.strip() == "page.html"
    assert Path("page.html").read_text() == (place / "atlas.html").read_text()
    assert (place / "atlas.html").read_text() == page


def test_json(convoscope: Convoscope, run: Run) -> None:
    words = ("--layer", "dense", "-k", 2, "--favourites", 1, "--split", "test")
    said = json.loads(convoscope("atlas", run.path, *words, "--json", "-o", "out").stdout)
    assert list(said) == [
        *("folder", "page", "network", "source", "engine", "input_shape", "command", "versions"),
        *("machine", "started", "layer", "shape", "data", "sentence", "images", "skipped"),
        *("class_names", "class_images", "patches", "level", "comparisons", "speaking", "dead"),
        *("dead_at_most", "window", "window_share", "favourites", "channels", "arrays", "pictures"),
    ]
    assert list(said["channels"][0]) == [
        *("channel", "peak", "mean", "answered", "is_dead", "class", "speaks", "auc", "low"),
        *("high", "patches"),
    ]
    assert list(said["channels"][0]["patches"][0]) == ["image", "row", "column", "value", "label"]
    assert len(said["favourites"]) == 1


def test_one_gray_image_without_a_class_is_said_in_sentences(
    convoscope: Convoscope, run: Run
) -> None:
    Image.fromarray(np.full((8, 8), 128, dtype=np.uint8)).save("gray.png")
    result = convoscope("atlas", run.path, "gray.png", "-o", "out", "--favourites", 0)
    assert result.exit_code == 0
    assert "Which channels speak for which class cannot be said" in result.stdout
    page = plain(Path("out/atlas.html").read_text())
    assert "1 image of gray.png" in page
    assert "nan" not in page.lower()


def test_a_page_holds_only_so_many_channels(
    convoscope: Convoscope, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    convoscope("atlas", run.path, "-o", "out", "--favourites", 0)
    monkeypatch.setattr(atlas_page, "MOST_CHANNELS", 3)
    assert "1 more channel is in the folder." in atlas_page.render(
        open_inside(Path("out"), "atlas")
    )


def test_a_folder_that_is_not_whole_is_refused(convoscope: Convoscope, run: Run) -> None:
    convoscope("atlas", run.path, "-o", "out", "--favourites", 0)
    folder = Path("out")
    assert kind_of(folder) == "atlas"
    with pytest.raises(RunError, match="a folder of  convoscope maximise  must hold"):
        open_inside(folder, "favourites")
    (folder / "arrays.npz").write_bytes(b"half")
    result = convoscope("report", folder)
    assert result.exit_code == 2
    assert "must hold what  convoscope atlas  found, reading it gave" in result.stderr
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 99}))
    assert "has schema_version 99" in convoscope("report", folder).stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--layer", "konv"), "there is no layer 'konv': did you mean 'conv'?"),
        (("-k", "0"), "patches must lie in 1 to 25, got 0"),
        (("--head", "klass"), "there is no head 'klass': did you mean 'class'?"),
        (("one", "two"), "atlas: one data set is looked at, got one and two"),
    ],
)
def test_mistakes_are_one_sentence(
    convoscope: Convoscope, run: Run, words: tuple[str, ...], sentence: str
) -> None:
    result = convoscope("atlas", run.path, *words, "-o", "out")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not Path("out").exists()


def test_a_network_must_be_named(convoscope: Convoscope) -> None:
    result = convoscope("atlas")
    assert result.exit_code == 2
    assert "atlas: one network must be named, a run, or a pretrained one" in result.stderr

"""``explain`` on the command line: what it prints and writes, and its mistakes in one sentence."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import Convoscope, looked_at_digits
from tests.conftest import draw_folder

from convoscope.runs import Run
from convoscope.runs.explanation_files import open_explanations


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network that has looked at digits, with the NumPy engine."""
    return looked_at_digits(tmp_path_factory.mktemp("explained"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A gray picture."""
    file = tmp_path / "p.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file)
    return file


def test_a_runs_own_images_are_explained_and_its_report_shows_them(
    convoscope: Convoscope, run: Run, tmp_path: Path
) -> None:
    result = convoscope("explain", run.path)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    place = run.path / "explanations" / "1"
    assert f"page    {place / 'explain.html'}" in lines
    assert f"report  {run.report_file}" in lines
    assert "(it is " in result.stdout
    report = run.report_file.read_text()
    assert "<h2>What the network looks at</h2>" in report
    assert 'href="explanations/1/explain.html"' in report
    assert 'href="#looking"' in report
    before = (place / "explain.html").read_text()
    (place / "explain.html").unlink()
    assert convoscope("report", place).stdout.strip() == str(place / "explain.html")
    assert (place / "explain.html").read_text() == before
    elsewhere = tmp_path / "seen.html"
    assert convoscope("report", place, "--out", elsewhere).stdout.strip() == str(elsewhere)
    assert elsewhere.read_text() == before


def test_named_images_leave_the_report_as_it_is(
    convoscope: Convoscope, run: Run, picture: Path
) -> None:
    result = convoscope("explain", run.path, picture, "-o", "out", "--class", "all", "--maps")
    assert result.exit_code == 0
    assert "report" not in result.stdout
    page = re.sub(r"</?span[^>]*>", "", Path("out/explain.html").read_text())
    assert f"convoscope explain {run.path} {picture} --maps --class=all --out=out" in page


def test_json(convoscope: Convoscope, run: Run, picture: Path) -> None:
    words = ("--neurons", "2", "--neuron", "conv:0,1,3", "--json", "-o", "out")
    said = json.loads(convoscope("explain", run.path, picture, *words).stdout)
    assert list(said) == [
        "folder",
        "page",
        "report",
        "status",
        "network",
        "source",
        "images",
        "problems",
        "scores",
    ]
    assert (said["folder"], said["page"], said["report"]) == ("out", "out/explain.html", None)
    (image,) = said["images"]
    assert image["file"] == str(picture)
    assert [n["is_chosen"] for n in image["neurons"]] == [False, False, True]
    for shown in image["pictures"]:
        assert (Path("out") / shown["file"]).exists()


def test_an_image_that_cannot_be_read_is_named_and_the_rest_goes_on(
    convoscope: Convoscope, run: Run, picture: Path
) -> None:
    Path("bad.jpg").write_bytes(b"nothing")
    result = convoscope("explain", run.path, "bad.jpg", picture, "-o", "out")
    assert result.exit_code == 2
    assert "convoscope: bad.jpg: an image must be readable, but" in result.stderr
    assert "1 of 2 images could not be read" in result.stderr
    assert "1 image could not be read" in Path("out/explain.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--layer", "konv"), "there is no layer 'konv': did you mean 'conv'?"),
        (("--layer", "dense"), "layer 'dense': a layer of maps (C, h, w) is asked for, this one"),
        (("--neuron", "conv:9,0,0"), "the maps of 'conv' have 6 rows, 6 columns and 4 channels"),
        (("--neuron", "conv"), "--neuron 'conv': a neuron is named layer:row,column,channel"),
        (("--class", "seven"), "there is no class 'seven'"),
        (("--head", "klass"), "there is no head 'klass': did you mean 'class'?"),
        (("--methods", "grad-kam"), "there is no method 'grad-kam': did you mean 'grad-cam'?"),
        (("--neurons", "-2"), "neurons must lie in 0 to 100, got -2: 5 is usual"),
        (("nothing.png",), "nothing.png: there is no such image or folder"),
    ],
)
def test_mistakes_are_one_sentence(
    convoscope: Convoscope, run: Run, picture: Path, words: tuple[str, ...], sentence: str
) -> None:
    images = () if words[0].endswith(".png") else (picture,)
    result = convoscope("explain", run.path, *images, *words, "-o", "out")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("out").exists()


def test_what_is_no_run_is_said(convoscope: Convoscope, picture: Path) -> None:
    result = convoscope("explain")
    assert result.exit_code == 2
    assert "explain: a run must be named, or a pretrained network with --backbone" in result.stderr
    result = convoscope("explain", picture)
    assert (
        f"explain: a run, or --backbone, must be named before the images, got {picture} first"
        in (result.stderr)
    )
    assert "there is no backbone 'vgg91': did you mean 'vgg19'?" in (
        convoscope("explain", "--backbone", "vgg91", picture).stderr
    )
    convoscope("convolve", picture, "--size", "8", "-o", "filters")
    result = convoscope("explain", "filters")
    assert (
        "this needs a run of  convoscope train , got one of  convoscope convolve" in result.stderr
    )


def test_an_empty_folder_and_one_that_holds_something_are_said(
    convoscope: Convoscope, run: Run, picture: Path
) -> None:
    Path("empty").mkdir()
    result = convoscope("explain", run.path, "empty")
    assert result.exit_code == 2
    assert "empty: a folder must hold images, found none: name another" in result.stderr
    shapes = draw_folder(Path("shapes"), classes=("disc",), per_class=1)
    result = convoscope("explain", run.path, picture, "-o", shapes)
    assert result.exit_code == 2
    assert "shapes: an explanation needs a folder of its own, this one holds other files" in (
        result.stderr
    )
    assert len(list(shapes.iterdir())) == 1


def test_ctrl_c_leaves_a_page_of_what_is_done(run: Run, tmp_path: Path) -> None:
    shapes = draw_folder(tmp_path / "shapes", classes=("disc",), per_class=400, size=8)
    program = str(Path(sys.executable).with_name("convoscope"))
    words = ["explain", str(run.path), str(shapes), "-o", str(tmp_path / "out")]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    process = subprocess.Popen(
        [program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and len(list((tmp_path / "out").glob("*/arrays.npz"))) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    folder = open_explanations(tmp_path / "out")
    assert folder.status == "interrupted"
    assert len(folder) >= 2
    assert f"{len(folder)} images are done: {folder.page_file}" in said
    assert len(list((tmp_path / "out").glob("0*"))) == len(folder)
    page = folder.page_file.read_text()
    assert "This explanation was stopped before all images were done; what is done is here." in page


def test_help_names_every_method(convoscope: Convoscope) -> None:
    from convoscope.explain import METHODS

    # A name may be broken at its hyphens.
    words = " ".join(convoscope("explain", "--help").stdout.split()).replace("- ", "-")
    for name in METHODS:
        assert name in words

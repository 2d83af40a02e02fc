"""``convoscope predict`` and ``convoscope evaluate``: what a trained run says of pictures."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder
from tests.networks import TINY_WITH_DROPOUT

from convoscope.jobs import train as job
from convoscope.runs import Run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``shapes``, and ``r``, a run that knows bars, poles and disc apart."""
    folder = tmp_path_factory.mktemp("trained")
    draw_folder(folder / "shapes", splits={"train": 8, "val": 4, "test": 4})
    (folder / "tiny.yaml").write_text(TINY_WITH_DROPOUT)
    job.train(
        folder / "shapes",
        model=folder / "tiny.yaml",
        out=folder / "r",
        epochs=30,
        batch=4,
        learning_rate=0.02,
        engine="numpy",
    )
    return folder


@pytest.fixture
def run(convoscope: Convoscope, trained: Path, tmp_path: Path) -> Run:
    """A copy of that folder to do anything with."""
    for name in ("shapes", "r"):
        shutil.copytree(trained / name, tmp_path / name)
    run = Run(Path("r"))
    settings = run.record().settings
    run.update_record(settings={**settings, "data": str(tmp_path / "shapes")})
    return run


def test_the_table_has_a_line_per_image(convoscope: Convoscope, run: Run) -> None:
    result = convoscope("predict", "r", "shapes/test/bars", "--top", "2")
    assert result.exit_code == 0
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["image", "says"]
    assert [line.split()[0] for line in lines] == [
        f"shapes/test/bars/bars_{number}.png" for number in range(4)
    ]
    assert all(line.count("%") == 2 for line in lines)


def test_json_and_csv_agree_with_the_saved_predictions(convoscope: Convoscope, run: Run) -> None:
    saved = run.predictions("test")
    head = saved.heads["class"]
    content = json.loads(convoscope("predict", "r", "shapes/test", "--json", "-k", "3").stdout)
    rows = list(
        csv.DictReader(io.StringIO(convoscope("predict", "r", "shapes/test", "--csv").stdout))
    )
    assert len(rows) == 3 * len(saved.ids)
    for image in content["images"]:
        name = image["file"].removeprefix("shapes/test/")
        (row,) = [k for k, found in enumerate(saved.ids) if found.endswith(name)]
        expected = dict(zip(head.class_names, head.probabilities()[row], strict=True))
        said = {best["class"]: best["probability"] for best in image["heads"]["class"]}
        assert said == pytest.approx(expected, abs=1e-6)
        probabilities = [best["probability"] for best in image["heads"]["class"]]
        assert probabilities == sorted(probabilities, reverse=True)
        lines = [line for line in rows if line["file"] == image["file"]]
        assert [line["class"] for line in lines] == [
            best["class"] for best in image["heads"]["class"]
        ]


def test_an_unreadable_image_is_named_and_the_others_are_said(
    convoscope: Convoscope, run: Run
) -> None:
    Path("mixed").mkdir()
    Path("mixed/letter.jpg").write_text("dear reader")
    Path("mixed/good.png").write_bytes(Path("shapes/test/bars/bars_0.png").read_bytes())
    Path("mixed/notes.txt").write_text("no picture, and not called one")
    result = convoscope("predict", "r", "mixed")
    assert result.exit_code == 2
    assert "mixed/good.png" in result.stdout
    assert result.stderr.splitlines()[0].startswith(
        "convoscope: mixed/letter.jpg: an image must be readable, but "
    )
    assert result.stderr.splitlines()[1] == "1 of 2 images could not be read"
    result = convoscope("predict", "r", "mixed", "--json")
    problems = [image["problem"] for image in json.loads(result.stdout)["images"]]
    assert problems[0] is None
    assert "letter.jpg" in problems[1]
    assert "letter.jpg" in convoscope("predict", "r", "mixed", "--csv").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere.png",), "nowhere.png: there is no such image or folder"),
        (("empty",), "empty: a folder must hold images, found none"),
        (("shapes", "--top", "0"), "top must be at least 1 class, got 0"),
        (("shapes", "--device", "abacus"), "abacus"),
    ],
)
def test_a_mistake_is_one_sentence(
    convoscope: Convoscope, run: Run, words: tuple[str, ...], sentence: str
) -> None:
    Path("empty").mkdir()
    result = convoscope("predict", "r", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_evaluating_again_gives_the_same_bytes(convoscope: Convoscope, run: Run) -> None:
    files = sorted((run.path / "predictions").iterdir())
    before = [file.read_bytes() for file in files]
    result = convoscope("evaluate", "r")
    assert result.exit_code == 0, result.stderr
    assert [file.read_bytes() for file in files] == before
    assert [line.split()[0] for line in result.stdout.splitlines()[1:4]] == [
        "train",
        "validation",
        "test",
    ]


def test_evaluating_on_changed_images_is_refused(convoscope: Convoscope, run: Run) -> None:
    one, other = Path("shapes/test/bars/bars_0.png"), Path("shapes/test/bars/bars_1.png")
    one.write_bytes(other.read_bytes())
    result = convoscope("evaluate", "r")
    assert result.exit_code == 2
    assert "have changed since: put them back, or name other data" in result.stderr


def test_other_data_is_matched_by_class_name(convoscope: Convoscope, run: Run) -> None:
    draw_folder(Path("more"), classes=("bars", "poles", "disc"), per_class=5)
    shutil.rmtree("more/bars")
    result = convoscope("evaluate", "r", "more", "--json")
    assert result.exit_code == 0, result.stderr
    splits = json.loads(result.stdout)["splits"]
    assert list(splits) == ["more"]
    saved = run.predictions("more")
    names = saved.heads["class"].class_names
    assert names == run.predictions("test").heads["class"].class_names
    for name, label in zip(saved.ids, saved.heads["class"].labels, strict=True):
        assert name.startswith(names[label])


def test_images_that_the_network_has_learnt_from_are_told(convoscope: Convoscope, run: Run) -> None:
    learnt = Path("shapes") / run.predictions("train").ids[0]
    draw_folder(Path("more"), per_class=5)
    shutil.copy(learnt, Path("more") / learnt.parent.name / "again.png")
    result = convoscope("evaluate", "r", "more")
    note = (
        "more: the network has learnt from 1 of these 16 images, such as "
        f"{learnt.parent.name}/again.png: their figures are too good"
    )
    assert f"note: {note}\n" in result.stdout
    assert note in run.record().notes
    assert convoscope("evaluate", "r", "more").exit_code == 0
    assert run.record().notes.count(note) == 1


def test_a_class_that_the_run_does_not_know(convoscope: Convoscope, run: Run) -> None:
    draw_folder(Path("more"), classes=("bars", "pole"))
    result = convoscope("evaluate", "r", "more")
    assert result.exit_code == 2
    assert "more: there is no class of this run 'pole': did you mean 'poles'?" in result.stderr


def test_data_named_like_a_split_does_not_overwrite_it(convoscope: Convoscope, run: Run) -> None:
    before = run.predictions("test").ids
    draw_folder(Path("test"), per_class=5)
    assert convoscope("evaluate", "r", "test").exit_code == 0
    assert run.predictions("test").ids == before
    assert len(run.predictions("data-test").ids) == 15


def test_the_other_engine_says_the_same(convoscope: Convoscope, run: Run) -> None:
    before = run.predictions("test").heads["class"].logits
    assert convoscope("evaluate", "r", "--engine", "torch").exit_code == 0
    after = run.predictions("test").heads["class"].logits
    np.testing.assert_allclose(after, before, atol=1e-5)

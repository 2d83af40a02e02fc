"""``convoscope compare`` and ``convoscope doubts`` on runs that this program trained."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder
from tests.networks import TINY_WITH_DROPOUT

DOCUMENTED = Path(__file__).parents[2] / "docs" / "json.md"


@pytest.fixture
def runs(convoscope: Convoscope, shapes_folder: Path, tiny: Path) -> tuple[str, str]:
    """Two runs on the same shapes."""
    for name, epochs in (("r1", 3), ("r2", 12)):
        words = ("train", shapes_folder, "-m", tiny, "-e", epochs, "-b", "4", "-l", "0.02")
        result = convoscope(*words, "-o", name, "--engine", "numpy", "--no-report", "-q")
        assert result.exit_code == 0, result.stderr
    return "r1", "r2"


def documented_keys(section: str) -> set[str]:
    text = DOCUMENTED.read_text(encoding="utf-8")
    (part,) = re.findall(rf"^## `{section}`\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return set(re.findall(r'"(\w+)"', part))


def keys_of(content: object, free: set[str]) -> set[str]:
    """Every key of a JSON object and what is in it; the keys below ``free`` ones are names."""
    if isinstance(content, list):
        return set().union(*(keys_of(each, free) for each in content))
    if not isinstance(content, dict):
        return set()
    found = set(content)
    for key, value in content.items():
        inside = value.values() if key in free and isinstance(value, dict) else [value]
        found = found.union(*(keys_of(each, free) for each in inside))
    return found


def test_training_keeps_a_temperature(runs: tuple[str, str]) -> None:
    kept = json.loads(Path("r1/model/calibration.json").read_text())
    assert kept["split"] == "validation"
    assert kept["heads"]["class"]["n"] == 12


def test_compare_prints_a_table_and_a_sentence_and_writes_a_page(
    convoscope: Convoscope, runs: tuple[str, str]
) -> None:
    result = convoscope("compare", *runs)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1].split()[:3] == ["A", "r1", "tiny"]
    assert lines[2].split()[:3] == ["B", "r2", "tiny"]
    assert lines[-1] == "page    compare.html"
    assert "r1" in lines[3]
    page = Path("compare.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert lines[3].split(":")[0] in page
    assert "not stored" not in page, "the originals are there"


def test_compare_as_json_writes_no_page_unless_asked(
    convoscope: Convoscope, runs: tuple[str, str]
) -> None:
    content = json.loads(convoscope("compare", *runs, "--split", "train", "--json").stdout)
    assert content["split"] == "train"
    assert not Path("compare.html").exists()
    assert keys_of(content, {"heads", "settings"}) <= documented_keys("compare RUN RUN... --json")
    convoscope("compare", *runs, "--json", "--out", "sub/page.html")
    assert Path("sub/page.html").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("r1",), "a comparison needs at least two runs, got 1: name another one"),
        (("r1", "./r1"), "this one is named twice: name each run once"),
        (("r1", "r2", "--split", "holdout"), "a comparison on 'holdout' needs saved predictions"),
        (("r1", "other"), "r1 and other: runs can be compared on the same test images only"),
        ((), "missing argument"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    convoscope: Convoscope, runs: tuple[str, str], words: tuple[str, ...], sentence: str
) -> None:
    if "other" in words:
        draw_folder(Path("bigger"), splits={"train": 8, "val": 4, "test": 5})
        Path("net.yaml").write_text(TINY_WITH_DROPOUT)
        train = ("train", "bigger", "-m", "net.yaml", "-e", 1, "-o", "other", "--no-report")
        assert convoscope(*train, "--engine", "numpy").exit_code == 0
    result = convoscope("compare", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_doubts_writes_a_page_into_the_run(convoscope: Convoscope, runs: tuple[str, str]) -> None:
    result = convoscope("doubts", "r1")
    assert result.exit_code == 0, result.stderr
    assert re.match(r"\d+ of 24 labels \(\d+\.\d %\) (is|are) doubted\.", result.stdout)
    assert result.stdout.splitlines()[-1] == "page    r1/doubts.html"
    assert "The network agrees with the labels of " in result.stdout
    assert "Hard to tell" in Path("r1/doubts.html").read_text()


def test_doubts_says_that_it_shows_the_first_of_more(
    convoscope: Convoscope, runs: tuple[str, str]
) -> None:
    every, first = (convoscope("doubts", "r1", "--split", "train", "--top", k) for k in (1000, 1))
    assert int(every.stdout.split("\n", 2)[1].split()[0]) > 1
    assert "the least plausible are shown; --top says how many" in first.stdout
    assert "the least plausible are shown" not in every.stdout


def test_doubts_as_json_and_csv_agree(convoscope: Convoscope, runs: tuple[str, str]) -> None:
    draw_folder(Path("new"), per_class=3)
    Path("new/letter.jpg").write_text("dear reader")
    asked = ("doubts", "r1", "--unlabelled", "new", "--top", 5)
    content = json.loads(convoscope(*asked, "--json").stdout)
    head = content["heads"]["class"]
    assert head["unlabelled"] == 9
    assert len(head["next"]) == len(head["ambiguous"]) == 5
    assert all(image["id"].startswith("new/") for image in head["next"])
    assert "letter.jpg" in content["notes"][0]
    assert keys_of(content, {"heads"}) <= documented_keys("doubts RUN --json")
    rows = list(csv.DictReader(io.StringIO(convoscope(*asked, "--csv").stdout)))
    for kind in ("doubted", "ambiguous", "next"):
        files = [row["file"] for row in rows if row["kind"] == kind]
        assert files == [image["id"] for image in head[kind]]
    assert not Path("r1/doubts.html").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("r1", "--split", "tset"), "there are none for 'tset'"),
        (("r1", "--unlabelled", "nowhere"), "nowhere: there is no such image or folder"),
        (("r1", "--unlabelled", "broken"), "broken: a folder must hold images that can be read"),
        (("r1", "--json", "--csv"), "choose one of --json and --csv"),
        (("r9",), "r9: there is no such run folder"),
    ],
)
def test_what_cannot_be_doubted_is_one_sentence(
    convoscope: Convoscope, runs: tuple[str, str], words: tuple[str, ...], sentence: str
) -> None:
    Path("broken").mkdir()
    Path("broken/letter.jpg").write_text("dear reader")
    result = convoscope("doubts", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_predict_says_not_sure_by_calibrated_probabilities(
    convoscope: Convoscope, runs: tuple[str, str]
) -> None:
    asked = ("predict", "r1", "shapes/test", "--json")
    plain = json.loads(convoscope(*asked).stdout)
    assert (plain["abstain_below"], plain["is_calibrated"]) == (None, False)
    assert all(image["not_sure"] == [] for image in plain["images"])
    content = json.loads(convoscope(*asked, "--abstain-below", "0.6").stdout)
    assert (content["abstain_below"], content["is_calibrated"]) == (0.6, True)
    assert keys_of(content, {"heads"}) <= documented_keys("predict RUN IMAGE... --json")
    unsure = [image for image in content["images"] if image["not_sure"]]
    for image in content["images"]:
        best = image["heads"]["class"][0]["probability"]
        assert image["not_sure"] == (["class"] if best < 0.6 else [])
    result = convoscope("predict", "r1", "shapes/test", "--abstain-below", "0.6")
    assert result.stderr.startswith("note: probabilities are calibrated on the run's validation")
    assert result.stdout.count("not sure (") == len(unsure)
    rows = csv.DictReader(
        io.StringIO(
            convoscope("predict", "r1", "shapes/test", "--abstain-below", "1", "--csv").stdout
        )
    )
    assert all((row["not_sure"] == "1") == (float(row["probability"]) < 1) for row in rows)


def test_predict_without_validation_says_that_it_is_not_calibrated(
    convoscope: Convoscope, runs: tuple[str, str]
) -> None:
    Path("r1/model/calibration.json").unlink()
    Path("r1/predictions/validation.npz").unlink()
    result = convoscope("predict", "r1", "shapes/test", "--abstain-below", "0.5")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: this run has no validation predictions to calibrate on")


def test_a_threshold_is_a_probability(convoscope: Convoscope, runs: tuple[str, str]) -> None:
    result = convoscope("predict", "r1", "shapes/test", "--abstain-below", "80")
    assert result.exit_code == 2
    assert "abstain_below must be a probability between 0 and 1, got 80.0: 0.8" in result.stderr

"""``convoscope experiment``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope, looked_at_digits
from tests.conftest import draw_folder


def test_the_list_names_every_experiment_and_its_images(convoscope: Convoscope) -> None:
    said = convoscope("experiment", "list").stdout
    assert "row-4" in said
    assert "five classes of Caltech-101" in said
    assert "row-9d" in said
    assert "row-11" in said


def test_an_experiment_needs_its_images_and_its_name(convoscope: Convoscope) -> None:
    nothing = convoscope("experiment", "row-4")
    assert nothing.exit_code == 2
    assert "experiment 'row-4': it needs its images, got none: name them with" in nothing.stderr
    typo = convoscope("experiment", "row4")
    assert typo.exit_code == 2
    assert "there is no experiment 'row4': did you mean 'row-4'?" in typo.stderr


def test_row_11_needs_a_run_or_images_to_train_on_and_no_other_takes_them(
    convoscope: Convoscope,
) -> None:
    for words, found in (
        ((), "neither"),
        (("--run", "r", "--data", "d"), "--run r and --data d"),
        (("--data", "d", "--resume", "r"), "--data d and --resume r"),
    ):
        refused = convoscope("experiment", "row-11", *words)
        assert refused.exit_code == 2
        assert f"it looks into a run, or trains one on images, got {found}: name" in refused.stderr
    other = convoscope("experiment", "row-4", "--data", "d", "--layer", "conv1")
    assert other.exit_code == 2
    assert "it trains networks of its own and takes neither --run, --model" in other.stderr


def test_row_11_looks_into_a_run_with_one_command(convoscope: Convoscope, tmp_path: Path) -> None:
    run = looked_at_digits(tmp_path)
    result = convoscope("experiment", "row-11", "--run", run.path, "--layer", "conv", "-q")
    assert result.exit_code == 0, result.stderr
    page = run.path / "inside" / "1" / "inside.html"
    assert result.stdout.splitlines()[-1] == f"page    {page}"
    assert "conv: 4 favourite inputs" in result.stdout
    shown = re.sub(r"</?span[^>]*>", "", page.read_text(encoding="utf-8"))
    assert f"convoscope experiment row-11 --run={run.path} --layer=conv" in shown
    words = ("--run", run.path, "--layer", "conv", "--out", "again", "--json")
    again = convoscope("experiment", "row-11", *words)
    content = json.loads(again.stdout)
    assert content["page"] == "again/inside.html"
    assert [drawn["recipe"] for drawn in content["favourites"]] == ["plain", "readable"]
    assert len(content["images"]["images"]) >= 6


def test_row_11_trains_a_network_first_where_it_is_given_images(
    convoscope: Convoscope, tmp_path: Path
) -> None:
    looked_at_digits(tmp_path)
    words = ("--data", "digits", "--model", "tiny.yaml", "--epochs", 1, "--layer", "conv", "-q")
    result = convoscope("experiment", "row-11", *words)
    assert result.exit_code == 0, result.stderr
    page = Path(result.stdout.splitlines()[-1].removeprefix("page").strip())
    assert page.parts[-3:] == ("inside", "1", "inside.html")
    assert (page.parents[2] / "report.html").is_file()


@pytest.mark.slow
def test_row_4_is_one_command_and_its_page_shows_everything(
    convoscope: Convoscope, tmp_path: Path
) -> None:
    data = draw_folder(tmp_path / "d", splits={"train": 4, "val": 3, "test": 3}, size=32)
    words = ("experiment", "row-4", "--data", data, "--epochs", 1, "--seeds", 1, "--out", "out")
    result = convoscope(*words, "--json", "-q")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert len(content["variants"]) == 12
    assert len(content["published"]) == 9
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for shown in (
        "published accuracies lie inside",
        "conv1: 8 of 8 maps, 54 x 54",
        "conv2: 8 of 16 maps, 22 x 22",
        "What the strongest neuron of",
        "Confusion matrix of 3 classes",
        "addition augmentation instead of none",
    ):
        assert shown in page
    assert convoscope("report", "out").stdout.strip() == "out/report.html"

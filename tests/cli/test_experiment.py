"""``convoscope experiment``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Convoscope
from tests.conftest import draw_folder


def test_the_list_names_every_experiment_and_its_images(convoscope: Convoscope) -> None:
    said = convoscope("experiment", "list").stdout
    assert "row-4" in said
    assert "five classes of Caltech-101" in said
    assert "row-9d" in said


def test_an_experiment_needs_its_images_and_its_name(convoscope: Convoscope) -> None:
    nothing = convoscope("experiment", "row-4")
    assert nothing.exit_code == 2
    assert "experiment 'row-4': it needs its images, got none: name them with" in nothing.stderr
    typo = convoscope("experiment", "row4")
    assert typo.exit_code == 2
    assert "there is no experiment 'row4': did you mean 'row-4'?" in typo.stderr


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

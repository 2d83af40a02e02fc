"""The section of probe images: every kept epoch, and nothing for runs without them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.report.conftest import Task, write_run

from convoscope.arrays import FloatArray, generator
from convoscope.report import write
from convoscope.report.probe import probe_section
from convoscope.runs.probed import ProbedEpoch, ProbedLayer, ProbePlan, begin_probe, keep_epoch
from convoscope.runs.store import Run

PLAN = ProbePlan(
    split="validation",
    head="class",
    class_names=("cat", "<dog>"),
    ids=("a.png", "b.png", "c.png"),
    labels=(0, 1, 1),
    heat_layer="conv2",
    layers=(ProbedLayer(name="conv1", channels=(0, 2, 4)),),
    filter_layer="conv1",
    filters=(0, 2),
)


def epoch(number: int, probabilities: FloatArray, heat: float = 1.0) -> ProbedEpoch:
    rng = generator(0, "epoch", number)
    return ProbedEpoch(
        epoch=number,
        probabilities=probabilities,
        heat=heat * rng.random((3, 4, 4)),
        maps={"conv1": rng.normal(size=(3, 3, 4, 4))},
        filters=rng.normal(size=(2, 3, 3, 3)),
    )


def probe(path: Path) -> None:
    rng = generator(0, "images")
    begin_probe(path, PLAN, rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))
    keep_epoch(path, epoch(0, np.full((3, 2), 0.5), heat=0.0))
    keep_epoch(path, epoch(1, np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])))


def test_a_run_without_probe_images_has_no_section(tmp_path: Path) -> None:
    assert probe_section(tmp_path) is None


def test_every_epoch_says_what_became_of_the_images(tmp_path: Path) -> None:
    probe(tmp_path)
    section = probe_section(tmp_path)
    assert section is not None
    assert "3 validation images" in section.sentence
    assert "after epochs 1." in section.sentence
    assert "Grad-CAM at conv2" in section.sentence
    before, after = section.epochs
    assert (before.name, after.name) == ("Before learning", "After epoch 1")
    assert after.words.startswith("2 of 3 have their own class")
    mean = (0.9 + 0.8 + 0.4) / 3
    assert f"{100 * mean:.1f}" in after.words
    assert [image.is_right for image in after.images] == [True, True, False]
    assert after.images[2].said.startswith("cat 60.0")
    assert [sheet.title for sheet in after.sheets] == ["conv1: filters", "conv1: maps"]
    assert "0, 2, 4" in after.sheets[1].words


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    task = Task(heads={"size": (("small", "large"), lambda values: values // 8)}, epochs=2)
    run: Run = write_run(tmp_path_factory.mktemp("runs") / "probed", task)
    probe(run.path)
    return write(run).read_text(encoding="utf-8")


def test_the_page_has_a_slider_over_the_epochs_and_all_of_their_pictures(page: str) -> None:
    section = page[page.index('<section id="probe">') :].split("</section>")[0]
    assert re.search(r'<input type="range" min="0" max="1" value="1" step="1">', section)
    assert section.count('class="epoch"') == 2
    assert section.count("<img") == 2 * (3 + 2)
    assert "&lt;dog&gt;" in section
    assert "<dog>" not in section


def test_without_scripts_the_first_and_the_last_epoch_are_seen(page: str) -> None:
    assert (
        ".epochs > .epoch:first-of-type, .epochs > .epoch:last-of-type { display: block; }" in page
    )
    assert ".scripted .epochs > .epoch.chosen { display: block; }" in page

"""Folds and seeds on a page: printed numbers re-added, two kinds of doubt kept apart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import draw_folder
from tests.networks import TINY

import convoscope
from convoscope.errors import ReconciliationError, RunError
from convoscope.metrics.spread import spread
from convoscope.report import write
from convoscope.report.parts import check_parts, parts_section
from convoscope.report.printed import number, read_page
from convoscope.runs import Run
from convoscope.runs.parts import read_parts, shared_training


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings under which the folds and the seeds are good, not perfect and not equal."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "tiny.yaml").write_text(TINY)
    data = draw_folder(folder / "shapes", per_class=16)
    settings = {"epochs": 6, "batch": 8, "engine": "numpy", "learning_rate": 0.03}
    return {"data": data, "model": folder / "tiny.yaml", **settings}


@pytest.fixture(scope="module")
def folds(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "folds"
    return convoscope.cross_validate(out=out, folds=4, group_by=r"_(\d+)\.", **asked)


@pytest.fixture(scope="module")
def seeds(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return convoscope.repeat(out=tmp_path_factory.mktemp("runs") / "seeds", seeds=3, **asked)


def figures(page: str) -> dict[str, float | None]:
    return {key: number(texts[0]) for key, texts in read_page(page).figures.items()}


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_folds_on_the_page_add_up_to_the_pooled_predictions(folds: Run) -> None:
    printed = figures(write(folds).read_text(encoding="utf-8"))
    pooled = folds.predictions("out-of-fold").heads["class"]
    right = int((pooled.predicted() == pooled.labels).sum())
    assert 16 < right < 48
    assert sum(printed[f"folds/{k}/correct"] or 0 for k in range(1, 5)) == right
    assert sum(printed[f"folds/{k}/n"] or 0 for k in range(1, 5)) == 48
    assert printed["out-of-fold/whole/accuracy"] == pytest.approx(right / 48, abs=0.0005)


def test_the_pooled_predictions_have_their_matrix_and_their_mistakes(folds: Run) -> None:
    page = write(folds).read_text(encoding="utf-8")
    assert sum(read_page(page).matrices["out-of-fold/class"].values()) == 48
    for section in ("Folds", "Confusion", "Classes", "Mistakes", "Data", "Network"):
        assert f">{section}</a>" in page
    assert text_of(page).count("Of 48 out-of-fold pictures") == 1


def test_what_folds_share_and_what_groups_do_to_the_interval_is_said(folds: Run) -> None:
    text = text_of(write(folds).read_text(encoding="utf-8"))
    assert " ".join(shared_training(4).split()) in text
    assert "were trained on about 67" in shared_training(4)
    assert "the other was tested on, so they are not independent" in shared_training(2)
    assert "drawn group by group the interval is" in text
    parts = read_parts(folds)
    assert parts.over_groups is not None
    assert parts.over_groups.value == parts.over_images.value
    assert parts.over_groups != parts.over_images


def test_the_seeds_page_keeps_the_two_kinds_of_luck_apart(seeds: Run) -> None:
    page = write(seeds).read_text(encoding="utf-8")
    text, printed = text_of(page), figures(page)
    values = []
    for seed in range(3):
        said = convoscope.open_run(seeds.path / "seeds" / str(seed)).predictions("test")
        head = said.heads["class"]
        values.append(float((head.predicted() == head.labels).mean()))
    found = spread(values)
    assert printed["parts/mean/accuracy"] == pytest.approx(found.mean, abs=0.0005)
    assert "The luck of training: 3 networks that differ in their seed alone" in text
    assert f"standard deviation of {100 * found.sd:.1f} percentage points" in text
    assert "The luck of the pictures: on other pictures of the same kind these 3 networks" in text
    assert "Neither interval contains the other’s doubt." in text


def test_the_figures_of_the_parts_are_those_of_their_own_runs(seeds: Run) -> None:
    parts = read_parts(seeds)
    for seed, part in enumerate(parts.to_json()["parts"]):
        head = convoscope.open_run(seeds.path / "seeds" / str(seed)).predictions("test")
        assert part["seed"] == seed
        assert part["n"] == len(head.ids)
    losses = [part["figures"]["loss"]["value"] for part in parts.to_json()["parts"]]
    assert parts.over_parts["loss"].mean == pytest.approx(np.mean(losses))
    assert parts.pooled is None
    assert parts.over_groups is None


@pytest.mark.parametrize("key", ["folds/2/correct", "folds/3/accuracy", "parts/mean/accuracy"])
def test_a_number_that_was_changed_is_found(folds: Run, key: str) -> None:
    page = write(folds).read_text(encoding="utf-8")
    pattern = re.compile(rf'(data-figure="{key}">)([^<]*)')
    match = pattern.search(page)
    assert match is not None
    other = "7" if "correct" in key else "12.3 %"
    changed = pattern.sub(rf"\g<1>{other}", page)
    with pytest.raises(ReconciliationError, match="must agree, got"):
        check_parts(changed, read_parts(folds))
    missing = page.replace(f'data-figure="{key}"', "")
    with pytest.raises(ReconciliationError, match="must print this figure"):
        check_parts(missing, read_parts(folds))


def test_an_unfinished_run_has_no_figures_of_its_own(folds: Run, tmp_path: Path) -> None:
    copy = Run(shutil.copytree(folds.path, tmp_path / "half"))
    shutil.rmtree(copy.path / "folds" / "4")
    copy.update_record(status="interrupted")
    with pytest.raises(RunError, match=r"1 of 4 are not finished: go on with  convoscope train"):
        read_parts(copy)
    with pytest.raises(RunError, match="of several trainings need all of them"):
        read_parts(convoscope.open_run(folds.path / "folds" / "1"))


def test_how_the_parts_learnt_is_shown_together(folds: Run, seeds: Run) -> None:
    for run, word, count in ((folds, "fold", 4), (seeds, "seed", 3)):
        page = write(run).read_text(encoding="utf-8")
        section = page[page.index('<section id="learning">') :].partition("</section>")[0]
        assert '<a href="#learning">Learning</a>' in page
        assert f"Each thin line is one {word}, the bold one the median of all {count}" in section
        assert section.count(' thin"') == 3 * count, "train loss, validation loss and accuracy"


def test_a_section_has_a_row_for_each_part(folds: Run, seeds: Run) -> None:
    section = parts_section(read_parts(folds), 1 / 3)
    assert [row.name for row in section.rows] == ["1", "2", "3", "4"]
    assert [row.name for row in section.statistics] == [
        "mean",
        "standard deviation",
        "smallest",
        "largest",
    ]
    assert section.columns == ("balanced accuracy", "macro F1", "loss")
    assert parts_section(read_parts(seeds), None).word == "seed"

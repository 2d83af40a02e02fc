"""The page of a comparison: its rows re-added, its words escaped, its pictures its own."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.report.conftest import Task, write_run
from tests.report.test_page import NASTY, table

from convoscope.jobs.compare import compare
from convoscope.report.compare_page import headline, render, write
from convoscope.report.wording import unbroken
from convoscope.runs.comparison import Comparison
from convoscope.runs.store import Run


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ...]:
    """Three networks of two heads, whose class names would break a careless page."""
    folder = tmp_path_factory.mktemp("runs")
    heads = {
        "size": (NASTY, lambda values: values // 4),
        "parity": (("even", "odd"), lambda values: values % 2),
    }
    return tuple(
        write_run(folder / name, Task(heads=heads, epochs=epochs))
        for name, epochs in (("nine & more", 9), ("one", 1), ("three", 3))
    )


@pytest.fixture(scope="module")
def comparison(three: tuple[Run, ...]) -> Comparison:
    return compare(three)


@pytest.fixture(scope="module")
def page(comparison: Comparison) -> str:
    ids = comparison.shown_ids
    return render(comparison, {name: np.full((8, 8, 1), 90, np.uint8) for name in ids[1:]})


def test_the_rows_of_each_pair_add_up_to_all_images(page: str, comparison: Comparison) -> None:
    tables = table(page, "pairs-table")
    assert len(tables) == 3, "all heads, and each"
    runs = table(page, "runs")[0]
    accuracy = {row[0][0]: row[2].split(" %")[0] for row in runs if row[1] == "all"}
    for row in tables[0]:
        both, first, second, neither = (int(cell.replace(",", "")) for cell in row[2:6])
        assert both + first + second + neither == comparison.images == 300
        assert accuracy[row[0][0]] == f"{100 * (both + first) / 300:.1f}"
        assert accuracy[row[1][0]] == f"{100 * (both + second) / 300:.1f}"


def test_every_sentence_is_on_the_page_as_text(page: str, comparison: Comparison) -> None:
    words = html.unescape(re.sub(r"<[^>]+>", "", page))
    for verdict in comparison.verdicts:
        assert unbroken(verdict.claim) in words
        assert unbroken(verdict.evidence) in words
    assert not re.search(r"\bp [=<] \d", words), "a line may break there"
    assert "<script>alert" not in page
    assert "nine &amp; more" in page


def test_images_are_shown_with_both_answers_and_a_missing_picture_is_said(
    page: str, comparison: Comparison
) -> None:
    shown = re.findall(r'<ul class="mistakes divided">(.*?)</ul>', page, re.DOTALL)
    count = sum(len(re.findall("<li>", part)) for part in shown)
    assert count == sum(
        min(len(images), comparison.shown_each)
        for verdict in comparison.verdicts
        for images in (verdict.only_first, verdict.only_second)
    )
    assert page.count("not stored") == page.count(f'title="{comparison.shown_ids[0]}"') > 0
    assert len(re.findall('<img src="data:image/', page)) == count - page.count("not stored")


def test_the_page_loads_nothing(page: str) -> None:
    assert "default-src 'none'" in html.unescape(page)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)


def test_all_runs_stand_in_each_learning_chart(page: str) -> None:
    charts = re.findall(r'<svg[^>]*class="chart curves".*?</svg>', page, re.DOTALL)
    assert len(charts) == 2
    for chart in charts:
        assert len(re.findall(r'<path[^>]*class="curve ', chart)) == 3


def test_the_headline_of_two_is_their_verdict_of_more_who_is_best(
    three: tuple[Run, ...], comparison: Comparison
) -> None:
    pair = compare(three[:2])
    assert headline(pair)[0] == f"{pair.verdicts[0].claim}."
    assert headline(comparison)[0].startswith("nine & more is right most often: ")
    named = headline(comparison)[1]
    assert "one" in named
    assert "three" in named


def test_it_is_written_where_asked(comparison: Comparison, tmp_path: Path) -> None:
    file = write(comparison, {}, tmp_path / "new" / "page.html")
    assert file.read_text(encoding="utf-8") == render(comparison, {})


def test_of_many_pairs_only_the_claims_are_said_and_equals_share_the_lead(
    three: tuple[Run, ...], tmp_path: Path
) -> None:
    shutil.copytree(three[0].path, tmp_path / "twin")
    crowd = compare([*three, Run(tmp_path / "twin")])
    assert headline(crowd)[0].startswith("nine & more and twin are right most often: ")
    words = html.unescape(re.sub(r"<[^>]+>", "", render(crowd, {})))
    assert all(unbroken(verdict.claim) in words for verdict in crowd.verdicts)
    assert not any(verdict.sentence in words for verdict in crowd.verdicts)

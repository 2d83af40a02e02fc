"""The whole page: self-contained, safe, and its numbers added up again without our own reader."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.conftest import Task, write_run

from convoscope.errors import RunError
from convoscope.metrics.predictions import Predictions
from convoscope.report import write
from convoscope.runs.store import Run

NASTY = ("<script>alert(1)</script>", 'l\'été & "co"', "🎈 balloon")


@pytest.fixture(scope="module")
def page(digits_run: Run) -> str:
    return write(digits_run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def nasty_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two heads, class names that would break a careless page, an interrupted run with a note."""
    task = Task(
        heads={
            "size": (NASTY, lambda values: values // 4),
            "parity": (("even", "odd"), lambda values: values % 2),
        },
        epochs=2,
        notes=("2 files were skipped: <b>.jpg & x.png.",),
        status="interrupted",
    )
    return write_run(tmp_path_factory.mktemp("runs") / "nasty", task)


def cells(row: str) -> list[str]:
    """The texts of a table row's cells, tags removed."""
    found = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
    texts = [re.sub(r"<svg.*?</svg>|<[^>]+>", "", cell, flags=re.DOTALL) for cell in found]
    return [html.unescape(text).replace("\N{NO-BREAK SPACE}", " ").strip() for text in texts]


def table(page: str, class_: str) -> list[list[list[str]]]:
    """Every table of that class as its body's rows of texts."""
    tables = re.findall(rf'<table class="{class_}\b[^>]*>(.*?)</table>', page, re.DOTALL)
    bodies = [re.search(r"<tbody>(.*?)</tbody>", t, re.DOTALL) for t in tables]
    return [
        [cells(row) for row in re.findall(r"<tr.*?</tr>", body.group(1), re.DOTALL)]
        for body in bodies
        if body
    ]


def matrices(page: str, classes: int) -> list[np.ndarray]:
    """Every confusion matrix of the page, from the texts in its cells."""
    found = []
    for pane in re.findall(r'<div class="cells">(.*?)</div>', page, re.DOTALL):
        matrix = np.zeros((classes, classes), dtype=int)
        pattern = r'data-row="(\d+)" data-column="(\d+)".*?count">(\d+)</text>'
        for row, column, count in re.findall(pattern, pane):
            matrix[int(row), int(column)] = int(count)
        found.append(matrix)
    return found


def test_the_report_lies_in_the_run_folder(digits_run: Run, page: str) -> None:
    assert digits_run.report_file.read_text(encoding="utf-8") == page
    assert page.startswith("<!DOCTYPE html>")


def test_a_run_and_its_page_may_be_named_by_their_paths(
    digits_run: Run, page: str, tmp_path: Path
) -> None:
    assert write(str(digits_run.path), str(tmp_path / "it.html")) == tmp_path / "it.html"
    assert (tmp_path / "it.html").read_text(encoding="utf-8") == page


def test_writing_it_again_gives_the_same_bytes(digits_run: Run, page: str) -> None:
    assert write(digits_run).read_text(encoding="utf-8") == page


def test_printed_rows_add_up_to_the_printed_totals(page: str, digits_run: Run) -> None:
    splits = ("test", "validation", "train")
    (summary,) = table(page, "figures")
    (data,) = table(page, "data")
    for order, matrix, classes, line in zip(
        splits, matrices(page, 10), table(page, "classes"), summary, strict=True
    ):
        assert line[0] == order
        right, images = int(line[1].replace(",", "")), int(line[2].replace(",", ""))
        assert images == len(digits_run.predictions(order).ids)
        assert matrix.sum() == images == sum(int(row[4]) for row in classes)
        assert np.trace(matrix) == right == sum(int(row[6]) for row in classes)
        assert line[3].startswith(f"{100 * right / images:.1f} %")
        column = 1 + ("train", "validation", "test").index(order)
        assert [row[column] for row in data] == [row[4] for row in classes]
        for k, row in enumerate(classes):
            assert int(row[4]) == matrix[k].sum()
            assert int(row[5]) == matrix[:, k].sum()
            recall = f"{100 * matrix[k, k] / matrix[k].sum():.1f} %" if matrix[k].sum() else "–"
            assert row[2] == recall


def test_the_data_table_adds_up_to_its_last_row(page: str) -> None:
    (rows,) = table(page, "data")
    foot = re.search(r'<table class="data".*?<tfoot>(.*?)</tfoot>', page, re.DOTALL)
    assert foot
    totals = [int(text.replace(",", "")) for text in cells(foot[1])[1:5]]
    assert totals == [sum(int(row[k]) for row in rows) for k in range(1, 5)]
    assert totals == [900, 200, 300, 1400]


def test_the_first_screen_says_the_result_the_comparison_and_the_origin(
    page: str, digits_run: Run
) -> None:
    head = digits_run.predictions("test").heads["class"]
    right = int((head.predicted() == head.labels).sum())
    hero = page[page.index('<section id="result"') : page.index("</section>")]
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", "", hero)).split())
    words = words.replace("\N{NO-BREAK SPACE}", " ")
    accuracy = f"{100 * right / 300:.1f} %"
    said = f"Of 300 test pictures, {right} are named right: {accuracy}, with a 95 % interval of"
    assert said in words
    assert "Always answering “6” would be right for 9.0 %, guessing for 10.0 %" in words
    assert "linear, 650 parameters, learnt from 900 pictures of digits in 12 epochs" in words


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', page)
    assert {a.split(":")[0] if ":" in a else a[:1] for a in addresses} <= {"data", "#"}
    assert re.findall(r"https?://[^\s\"']+", page.replace("http://www.w3.org/2000/svg", "")) == []
    assert "@import" not in page
    assert "url(" not in page


def test_only_the_script_whose_hash_the_policy_names_may_run(page: str) -> None:
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert not re.search(r"<[^>]+\son[a-z]+=", page.replace(script, ""))


def test_class_names_with_html_and_emoji_are_only_text(nasty_run: Run) -> None:
    page = write(nasty_run).read_text(encoding="utf-8")
    assert page.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "🎈 balloon" in page
    shown = [row[0] for row in table(page, "classes")[0]]
    assert shown == list(NASTY)


def test_notes_and_an_interruption_are_banners(nasty_run: Run) -> None:
    page = write(nasty_run).read_text(encoding="utf-8")
    banners = [html.unescape(b) for b in re.findall(r'<p class="banner"[^>]*>(.*?)</p>', page)]
    assert banners == [
        "This run was interrupted: the figures are those of the best epoch until then.",
        "2 files were skipped: <b>.jpg & x.png.",
    ]


def test_several_heads_have_a_section_each_and_the_whole_counts(nasty_run: Run) -> None:
    page = write(nasty_run).read_text(encoding="utf-8")
    assert re.findall(r"<h2>Head <em>(.*?)</em></h2>", page) == ["size", "parity"]
    test = nasty_run.predictions("test")
    right = np.logical_and.reduce([h.predicted() == h.labels for h in test.heads.values()])
    (summary,) = table(page, "figures")
    assert summary[0][:4] == ["test", "all", str(right.sum()), "300"]
    assert "are named right by all 2 heads" in re.sub(r"<[^>]+>", "", page)


def test_pictures_are_inside_and_their_absence_is_said(digits_run: Run, tmp_path: Path) -> None:
    page = write(digits_run).read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') > 100
    bare = Run(Path(shutil.copytree(digits_run.path, tmp_path / "bare")))
    (bare.path / "samples.npz").unlink()
    without = write(bare).read_text(encoding="utf-8")
    assert "<img" not in without
    assert "not stored" in without


def test_a_run_that_learnt_nothing_has_no_learning_section(digits_run: Run, tmp_path: Path) -> None:
    other = Run(Path(shutil.copytree(digits_run.path, tmp_path / "evaluated")))
    (other.path / "history.jsonl").unlink()
    page = write(other).read_text(encoding="utf-8")
    assert 'id="learning"' not in page
    assert 'href="#learning"' not in page


def test_images_without_labels_are_counted_apart(digits_run: Run, tmp_path: Path) -> None:
    other = Run(Path(shutil.copytree(digits_run.path, tmp_path / "unlabelled")))
    test = other.predictions("test")
    head = test.heads["class"]
    labels = head.labels.copy()
    labels[:25] = -1
    changed = type(head)(class_names=head.class_names, labels=labels, logits=head.logits)
    other.write_predictions(Predictions(split="test", ids=test.ids, heads={"class": changed}))
    page = write(other).read_text(encoding="utf-8")
    (summary,) = table(page, "figures")
    assert summary[0][2] == "275"
    assert re.search(r"label not known</th>.*?>25</td>", page, re.DOTALL)


def test_a_run_without_predictions_is_one_sentence(digits_run: Run, tmp_path: Path) -> None:
    other = Run(Path(shutil.copytree(digits_run.path, tmp_path / "unfinished")))
    shutil.rmtree(other.path / "predictions")
    with pytest.raises(RunError, match=r"unfinished: a report needs saved predictions, .*--resume"):
        write(other)


def test_a_report_needs_neither_torch_nor_the_pictures(digits_run: Run) -> None:
    code = (
        "import sys; from convoscope.runs.store import Run; from convoscope.report import write; "
        "from pathlib import Path; write(Run(Path(sys.argv[1]))); "
        "assert 'torch' not in sys.modules; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(digits_run.path)], check=True, timeout=60)


def test_the_command_is_quoted_for_a_shell(page: str) -> None:
    shown = re.search(r"<pre[^>]*><code>(.*?)</code>", page)[1]  # type: ignore[index]
    assert shown.startswith('convoscope train digits <span class="option">--model</span> linear ')
    command = html.unescape(re.sub(r"<[^>]+>", "", shown))
    said = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == [
        "convoscope", "train", "digits", "--model", "linear", "--note", "it's",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["variations", "ladder", "learning curve"])
def test_a_run_that_compares_trainings_names_the_command_for_its_page(
    digits_run: Run, tmp_path: Path, kind: str
) -> None:
    run = Run(tmp_path / "run")
    run.write_record(replace(digits_run.record(), kind=kind))
    with pytest.raises(RunError, match=f"one of '{kind}': write its page with  convoscope report"):
        write(run)

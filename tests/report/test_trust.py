"""The leaderboard in words: figures as people read them, marks as sentences, in a run's report."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import draw_folder
from tests.networks import TINY

from convoscope import report
from convoscope.jobs.explain import explain_into
from convoscope.jobs.explain_request import ExplainRequest
from convoscope.jobs.train import train
from convoscope.report.trust import in_words, run_trust, trust_section
from convoscope.runs import Run
from convoscope.runs.explanation_scores import Scores, read_scores


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose own images were explained and scored."""
    folder = tmp_path_factory.mktemp("trust")
    draw_folder(folder / "shapes", per_class=14)
    (folder / "tiny.yaml").write_text(TINY)
    trained = train(
        folder / "shapes",
        model=folder / "tiny.yaml",
        out=folder / "run",
        epochs=1,
        batch=8,
        engine="torch",
    )
    methods = ("grad-cam", "guided-backprop")
    explain_into(None, trained, request=ExplainRequest(methods=methods, has_scores=True))
    return trained


@pytest.fixture
def scores(run: Run) -> Scores:
    found = read_scores(run.path / "explanations" / "1")
    assert found is not None
    return found


def test_a_runs_report_has_the_leaderboard_and_the_marks(run: Run) -> None:
    page = report.write(run).read_text()
    assert "Can the explanations be trusted?" in page
    assert '<a href="explanations/1/explain.html">' in page
    assert "With only its strongest fifth in focus" in page
    assert run_trust(run.path, run.path) is not None


def test_a_report_elsewhere_links_to_the_pictures_where_they_are(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "to" / "send.html"
    assert report.write(run, file) == file
    links = set(re.findall(r'href="([^"#:]+explain\.html)"', file.read_text()))
    assert {(file.parent / each).resolve() for each in links} == {
        (run.path / "explanations" / "1" / "explain.html").resolve()
    }


def test_the_sentence_has_the_figures_of_the_image(scores: Scores) -> None:
    image = scores.images[0]
    flat = replace(
        image.methods["grad-cam"],
        shares=(0.0, 0.19, 1.0),
        insertion=(0.0, 0.625, 1.0),
        deletion=(1.0, 0.125, 0.0),
    )
    centre = replace(flat, insertion=(0.0, 0.5, 1.0), deletion=(1.0, 0.25, 0.0))
    changed = replace(image, class_name="cat", methods={"grad-cam": flat, "centre": centre})
    assert in_words(changed, "grad-cam").replace("\N{NO-BREAK SPACE}", " ") == (
        "With only its strongest fifth in focus the network gives cat 62.5 % (with the centre’s "
        "50.0 %); with that covered 12.5 % is left (25.0 %)."
    )


@pytest.mark.parametrize(
    ("correlation", "depends", "leave"),
    [
        (0.95, "Hardly depends", "leave the order of its pixels nearly as it was"),
        (0.75, "Depends little", "leave most of the order of its pixels"),
        (0.56, "Depends only in part", "leave about half of the order of its pixels"),
    ],
)
def test_what_random_weights_leave_is_told_in_words_that_fit_the_number(
    scores: Scores, correlation: float, depends: str, leave: str
) -> None:
    assert scores.cascading is not None
    count = len(scores.cascading.ranks["grad-cam"][0])
    groups = len(scores.cascading.groups)
    ranks = dict.fromkeys(scores.methods, ((0.0,) * count,) * groups)
    ranks["guided-backprop"] = ((correlation,) * count,) * groups
    changed = replace(
        scores,
        cascading=replace(scores.cascading, ranks=ranks),
        like_gradient=("guided-backprop",),
    )
    rows = {row.title: row.marks for row in trust_section(changed).rows}
    words = " ".join(rows["Guided backpropagation"])
    assert f"{depends} on what was learnt: random weights in " in words
    assert f" {leave} (correlation {correlation})." in words
    assert "Equals the plain gradient: its rule met no ReLU on the way back." in words
    assert not any("on what was learnt" in mark for mark in rows["Grad-CAM"])


def test_few_pictures_claim_nothing(scores: Scores) -> None:
    few = trust_section(replace(scores, images=scores.images[:3]))
    assert few.sentence == ("3 pictures are too few to say which method to trust: score 5 or more.")


def test_a_run_without_scores_has_no_leaderboard(tmp_path: Path) -> None:
    assert run_trust(tmp_path, tmp_path) is None

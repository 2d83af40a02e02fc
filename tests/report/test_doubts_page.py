from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convoscope.metrics.review import DoubtedLabel, HeadReview, Review, Undecided
from convoscope.report.doubts_page import caution, lead, render, write

DOUBT = DoubtedLabel(
    id="test/<b>.png",
    split="test",
    given="<script>alert(1)</script>",
    given_probability=0.031,
    suggested="dog & co",
    suggested_probability=0.912,
)
UNDECIDED = Undecided(
    id="new/1.png",
    split="unlabelled",
    given=None,
    first="cat",
    first_probability=0.41,
    second="dog",
    second_probability=0.4,
)
HEAD = HeadReview(
    head="class",
    labelled=200,
    right=150,
    unlabelled=5,
    doubts=30,
    doubted=(DOUBT,),
    ambiguous=(replace(UNDECIDED, given="horse"),),
    next=(UNDECIDED,),
)
REVIEW = Review(
    run="runs/pets", splits=("validation", "test"), heads=(HEAD,), notes=("Mind <it>.",)
)


def test_doubts_come_with_both_probabilities_escaped() -> None:
    page = render(REVIEW, {DOUBT.id: np.zeros((60, 80, 3), np.uint8)})
    assert "<script>alert" not in page
    (item,) = re.findall(r"<li>((?:(?!</li>).)*dog &amp; co.*?)</li>", page, re.DOTALL)
    assert "3.1\N{NO-BREAK SPACE}%" in item
    assert "91.2\N{NO-BREAK SPACE}%" in item
    assert 'src="data:image/webp' in item
    assert page.count("not stored") == 2
    assert "1 of 30" in page
    assert "Mind &lt;it&gt;." in page
    assert "Of 5 pictures without a label" in page


def test_the_page_says_how_often_the_network_agrees_with_the_labels() -> None:
    sentence = (
        "The network agrees with the labels of 150 of 200 pictures (75.0\N{NO-BREAK SPACE}%); the "
        "more often it is wrong itself, the more of its doubts are its own mistakes."
    )
    assert caution(REVIEW) == sentence
    assert sentence in render(REVIEW, {})
    both = replace(REVIEW, heads=(HEAD, replace(HEAD, head="age", labelled=50, right=50)))
    assert "150 of 200 pictures of class" in caution(both)
    assert "50 of 50 pictures of age (100.0\N{NO-BREAK SPACE}%)" in caution(both)
    assert caution(replace(REVIEW, heads=(replace(HEAD, labelled=0, right=0),))) == ""


def test_without_doubts_the_page_says_so() -> None:
    head = replace(HEAD, doubts=0, doubted=(), unlabelled=0, next=())
    page = render(replace(REVIEW, heads=(head,)), {})
    assert "There are none: no picture is surely of another class" in page
    assert 'id="next-1"' not in page


@pytest.mark.parametrize(
    ("heads", "sentence"),
    [
        ((HEAD,), "30 of 200 labels (15.0 %) are doubted."),
        ((replace(HEAD, doubts=1),), "1 of 200 labels (0.5 %) is doubted."),
        (
            (HEAD, replace(HEAD, head="size", doubts=0)),
            "30 of 200 labels of class (15.0 %) and 0 of 200 labels of size (0.0 %) are doubted.",
        ),
        ((replace(HEAD, labelled=0),), "No picture here has a label that could be doubted."),
    ],
)
def test_the_lead_counts(heads: tuple[HeadReview, ...], sentence: str) -> None:
    said = lead(replace(REVIEW, heads=heads))
    assert said.replace("\N{NO-BREAK SPACE}", " ") == sentence


def test_it_is_written_where_asked(tmp_path: Path) -> None:
    file = write(REVIEW, {}, tmp_path / "doubts.html")
    assert file.read_text(encoding="utf-8") == render(REVIEW, {})

"""The page of a ladder: what it says, and that its figures agree."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from convoscope.errors import ReconciliationError
from convoscope.metrics.intervals import Figure, Interval
from convoscope.metrics.paired import Paired
from convoscope.report.ladder_page import render
from convoscope.runs import Run, RunRecord
from convoscope.runs.ladder import Ladder, NotClimbed, PlannedRung, Rung, Step


def planned(strategy: str) -> PlannedRung:
    return PlannedRung(
        folder=f"rungs/vgg19/{strategy}", backbone="vgg19", strategy=strategy, settings={}
    )


def rung(number: int, strategy: str, accuracy: float) -> Rung:
    return Rung(
        number=number,
        planned=planned(strategy),
        runs=(Path("a"),),
        validation=Figure(accuracy, accuracy - 0.05, accuracy + 0.05),
        test=Figure(0.87, 0.8, 0.9),
        spread=None,
        validation_loss=0.5,
        parameters=20_000_000,
        learnt=5_000 * number,
        trained="the new head",
        epochs=3,
        seconds=10.0 * number,
        feature_seconds=60.0,
        peak_memory=300 * 2**20,
    )


@pytest.fixture
def found() -> Ladder:
    paired = Paired(
        value=0.1,
        interval=Interval(0.02, 0.18),
        p_value=0.01,
        images=60,
        seeds=1,
        knows_seeds=False,
    )
    step = Step(
        number=2,
        against=1,
        accuracy=paired,
        p_adjusted=0.01,
        is_more_than_noise=True,
        sentence="vgg19 last against vgg19 svm: +10.0 points",
    )
    return Ladder(
        rungs=(rung(1, "svm", 0.8), rung(2, "last", 0.9)),
        steps=(step,),
        not_climbed=(
            NotClimbed(planned=planned("all"), ending="over budget", reason="it would take an age"),
        ),
        seeds=(0,),
        images=60,
        test_images=90,
        level=0.95,
        budget=600.0,
        best=2,
        recommended=2,
        recommendation="Take vgg19 last: it is <b>better</b>.",
        notes=("One note.",),
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path)
    command = ("convoscope", "ladder", "photos")
    run.write_record(
        RunRecord(
            kind="ladder",
            settings={},
            command=command,
            seed=0,
            started="now",
            status="finished",
            data={"name": "photos"},
        )
    )
    return run


def test_the_page_says_every_rung_step_and_reason(run: Run, found: Ladder) -> None:
    page = render(run, found)
    assert "Take vgg19 last: it is &lt;b&gt;better&lt;/b&gt;." in page
    for said in (
        "vgg19 svm",
        "80.0",
        "90.0",
        "87.0",
        "10,000",
        "it would take an age",
        "One note.",
    ):
        assert said in page
    assert "over budget" in page
    assert "+10.0 points" in page
    assert "convoscope ladder photos" in page


def test_of_a_single_rung_nothing_is_said_that_needs_two(run: Run, found: Ladder) -> None:
    both = render(run, found)
    alone = render(run, replace(found, rungs=found.rungs[1:], steps=()))
    assert "Holm" in both
    assert '<section id="cost">' in both
    assert "Holm" not in alone
    for page in (both, alone):
        for target in re.findall(r'href="#(\w+)"', page):
            assert f'id="{target}"' in page


def test_a_step_that_is_not_the_difference_of_its_rows_stops_the_page(
    run: Run, found: Ladder
) -> None:
    (step,) = found.steps
    wrong = replace(step, accuracy=replace(step.accuracy, value=0.2))
    with pytest.raises(ReconciliationError, match="a step must be the difference of its rungs'"):
        render(run, replace(found, steps=(wrong,)))


def test_json_has_every_documented_key(found: Ladder) -> None:
    content = found.to_json()
    assert set(content) == {
        *("seeds", "images", "test_images", "level", "budget", "rungs", "steps", "not_climbed"),
        *("best", "recommended", "recommendation", "notes"),
    }
    assert content["rungs"][0]["learnt_parameters"] == 5000
    assert content["not_climbed"][0]["ending"] == "over budget"

"""The page of variations: what it says, and that its figures agree."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from convoscope.errors import ReconciliationError
from convoscope.metrics.intervals import Figure, Interval
from convoscope.metrics.paired import Paired
from convoscope.metrics.spread import spread
from convoscope.report.vary_page import Extra, headline, render
from convoscope.runs import Run, RunRecord
from convoscope.runs.variations import Contrast, OnTest, PlannedVariant, Trained, Variations


def trained(number: int, level: str, accuracy: float, **more: object) -> Trained:
    one = Trained(
        number=number,
        variant=PlannedVariant(name=f"v{number}", levels={"size": level}, changes={}),
        runs=(Path("a"), Path("b")),
        model="net",
        parameters=1000 * number,
        macs=5000 * number,
        validation=Figure(accuracy, accuracy - 0.05, accuracy + 0.05),
        spread=spread([accuracy - 0.01, accuracy + 0.01]),
        validation_loss=0.5,
        train_accuracy=0.99,
        train_loss=0.1,
        epochs=3,
        seconds=12.0,
        peak_memory=300 * 2**20,
        curves={
            "train_loss": [1.0, 0.4, 0.1],
            "validation_loss": [1.1, 0.7, 0.5],
            "validation_accuracy": [0.5, 0.7, accuracy],
        },
    )
    return replace(one, **more)  # type: ignore[arg-type]


def paired(value: float) -> Paired:
    within = Interval(value - 0.02, value + 0.02)
    return Paired(value=value, interval=within, p_value=0.01, images=200, seeds=2, knows_seeds=True)


def variations() -> Variations:
    contrast = Contrast(
        factor="size",
        level="5 <wide>",
        against="3",
        pairs=1,
        accuracy=paired(0.1),
        validation_loss=paired(-0.1),
        train_loss=paired(0.0),
        p_adjusted=0.01,
        is_more_than_noise=True,
        claim="size 5 instead of 3: validation loss lower",
        evidence="+10.0 points of accuracy",
    )
    impossible = PlannedVariant(
        name="no", levels={"size": "99"}, changes={}, refusal="a 99x99 kernel does not fit"
    )
    return Variations(
        factors={"size": ("3", "5 <wide>", "99")},
        is_grid=False,
        trained=(trained(1, "3", 0.8), trained(2, "5 <wide>", 0.9)),
        refused=(impossible,),
        contrasts=(contrast,),
        seeds=(0, 1),
        images=200,
        level=0.95,
        chosen=2,
        level_with_chosen=(),
        tested=(OnTest(number=2, accuracy=Figure(0.88, 0.8, 0.93), loss=0.4, images=300),),
        notes=("a note that must be read",),
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = Run(tmp_path)
    record = RunRecord(
        kind="variations",
        settings={},
        command=("convoscope", "vary", "photos"),
        seed=0,
        started="",
        data={"name": "photos"},
    )
    found.write_record(record)
    return found


def test_the_page_shows_every_variant_change_and_cost(run: Run) -> None:
    page = render(run, variations())
    for shown in (
        "size 5 &lt;wide&gt;: the best of 2 variants, 90.0\N{NO-BREAK SPACE}% of 200 validation",
        "On 300 test pictures, which chose nothing, it names 88.0\N{NO-BREAK SPACE}% right",
        "a 99x99 kernel does not fit",
        "a note that must be read",
        "size 5 instead of 3: validation loss lower",
        "more than noise",
        "300\N{NO-BREAK SPACE}MiB",
        "multiply-accumulates per picture (log scale)",
        "convoscope vary photos",
        "with seeds 0, 1",
    ):
        assert shown in page, shown
    assert "<wide>" not in page


def test_a_cost_that_alone_differs_is_drawn_once(run: Run) -> None:
    several = render(run, variations())
    alike = [
        replace(one, parameters=1000, macs=5000, peak_memory=1, seconds=float(one.number))
        for one in variations().trained
    ]
    same = replace(variations(), trained=tuple(alike))
    single = render(run, same)
    for page, charts in ((several, 2), (single, 1)):
        assert page.count('class="chart trade-off"') == charts
        for target in re.findall(r'href="#(\w+)"', page):
            assert f'id="{target}"' in page


def test_further_sections_are_put_in(run: Run) -> None:
    from markupsafe import Markup

    page = render(run, variations(), [Extra(id="more", title="More", body=Markup("<b>bold</b>"))])
    assert '<a href="#more">More</a>' in page
    assert "<b>bold</b>" in page


def test_the_headline_says_what_is_not_told_apart() -> None:
    alone = headline(replace(variations(), level_with_chosen=(1,)))
    assert alone[1] == "None of the others can be told apart from it by these pictures and seeds."
    three = replace(
        variations(),
        trained=(*variations().trained, trained(3, "7", 0.7)),
        level_with_chosen=(1,),
    )
    assert headline(three)[1] == "Not to be told apart from it: 1 (size 3)."


def test_a_difference_that_is_not_that_of_its_rows_stops_the_page(run: Run) -> None:
    found = variations()
    wrong = replace(found.contrasts[0], accuracy=paired(0.2))
    with pytest.raises(
        ReconciliationError, match=r"must be that of their rows, got 0\.2000 and 0\.1000"
    ):
        render(run, replace(found, contrasts=(wrong,)))

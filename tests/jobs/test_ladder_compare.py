"""Which rung is recommended, and what is claimed of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convoscope.arrays import FloatArray
from convoscope.jobs.ladder_compare import _near, _recommendation, _step_sentence, points
from convoscope.metrics.intervals import Interval
from convoscope.metrics.paired import Paired
from convoscope.metrics.spread import mean_over_images
from convoscope.runs.ladder import PlannedRung, Rung


def right(wrong: range, images: int = 100) -> FloatArray:
    found = np.ones((1, images))
    found[0, list(wrong)] = 0
    return found


def rung(number: int, seconds: float, answers: FloatArray) -> Rung:
    return Rung(
        number=number,
        planned=PlannedRung(
            folder=str(number), backbone="net", strategy=f"way{number}", settings={}
        ),
        runs=(Path("a"),),
        validation=mean_over_images(answers > 0),
        test=None,
        spread=None,
        validation_loss=0.0,
        parameters=100,
        learnt=10,
        trained="all",
        epochs=1,
        seconds=seconds,
        feature_seconds=0.0,
        peak_memory=None,
    )


@pytest.mark.parametrize(
    ("cheap", "dear", "taken", "says"),
    [
        # 5 against 4 wrong, the same ones: within one standard error.
        (
            range(5),
            range(4),
            1,
            "the cheapest rung within one standard error of the best, net way2",
        ),
        # 30 against 4 wrong: told apart.
        (range(30), range(4), 2, "more than noise better than all cheaper ones"),
        # 8 against 4 wrong: four of four pictures, p = 0.125, but two standard errors.
        (range(8), range(4), 2, "its lead over net way1 may be noise"),
        (range(3), range(9), 1, "the best rung and the cheapest: "),
    ],
)
def test_what_is_recommended_claims_what_the_numbers_support(
    cheap: range, dear: range, taken: int, says: str
) -> None:
    answers = {1: right(cheap), 2: right(dear)}
    rungs = [rung(1, 10.0, answers[1]), rung(2, 90.0, answers[2])]
    best = max(rungs, key=lambda one: one.validation.value or 0.0)
    chosen = min(_near(rungs, best, answers, None), key=lambda one: one.alone)
    assert chosen.number == taken
    said = _recommendation(chosen, best, rungs, answers, None)
    assert said.startswith(f"Take net way{taken}")
    assert says in said


@pytest.mark.parametrize(
    ("p_value", "is_sure", "low", "says"),
    [
        (0.001, True, 0.02, "more than noise"),
        (0.03, False, 0.02, "may be noise, all steps looked at together"),
        (0.07, False, 0.01, "may be noise (p = 0.07)"),
        (0.3, False, -0.04, "may be noise"),
    ],
)
def test_why_a_step_may_be_noise_is_said_where_its_interval_does_not_show_it(
    p_value: float, is_sure: bool, low: float, says: str
) -> None:
    found = Paired(
        value=0.1,
        interval=Interval(low, 0.2),
        p_value=p_value,
        images=55,
        seeds=3,
        knows_seeds=True,
    )
    one, other = rung(1, 10.0, right(range(5))), rung(2, 20.0, right(range(4)))
    assert _step_sentence(other, one, found, is_sure=is_sure) == (
        f"net way2 against net way1: +10.0 points of validation accuracy ({points(low)} to +20.0 "
        f"over other images and other seeds, 3 of each), {says}."
    )

"""About how long variations take: measured steps, arithmetic, and what is left."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import draw_folder

from convoscope import engines
from convoscope.data.sources import open_dataset
from convoscope.jobs import vary_estimate
from convoscope.jobs.settings import request
from convoscope.jobs.vary_estimate import estimated_seconds, relative_costs, seconds_left
from convoscope.jobs.vary_resolve import Resolved, resolved
from convoscope.jobs.vary_room import Room
from convoscope.runs.variations import PlannedVariant

ALONE, PAIR = (Room(jobs=jobs, threads=1) for jobs in (1, 2))


@pytest.fixture
def variant(tmp_path: Path) -> Resolved:
    data = draw_folder(tmp_path / "d", per_class=2)
    base = request({"data": str(data), "model": "small", "input": "32", "epochs": 2})
    planned = PlannedVariant(name="v", levels={}, changes={})
    return resolved(planned, base, open_dataset(str(data)))


def longer(variant: Resolved, epochs: int, name: str = "w") -> Resolved:
    return replace(
        variant,
        request=replace(variant.request, epochs=epochs),
        planned=replace(variant.planned, name=name),
    )


def test_twice_the_seeds_take_twice_as_long_and_two_at_a_time_half(
    variant: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vary_estimate, "_measured_pace", lambda *_: 1e-10)
    images = {"learnt": 10_000, "validated": 1_000}
    alone = estimated_seconds([variant], **images, seeds=1, room=ALONE)
    both = estimated_seconds([variant], **images, seeds=2, room=PAIR)
    assert alone is not None
    assert alone > 4
    assert both == pytest.approx(alone)


def test_a_step_that_takes_longer_makes_the_estimate_longer(
    variant: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {"learnt": 10_000, "validated": 0}
    quick = estimated_seconds([variant], **images, seeds=1, room=ALONE)
    real = engines.learner

    def slow(*given: Any, **also: Any) -> object:
        learner = real(*given, **also)
        step = learner.step

        class Slow:
            def step(self, *batch: Any) -> None:
                time.sleep(0.3)
                step(*batch)

            drain_losses = staticmethod(learner.drain_losses)

        return Slow()

    monkeypatch.setattr(engines, "learner", slow)
    slower = estimated_seconds([variant], **images, seeds=1, room=ALONE)
    assert quick is not None
    assert slower is not None
    # 313 steps in each of two epochs, each at least 0.3 seconds
    assert slower > max(quick, 180)


def test_what_is_frozen_or_not_on_a_cpu_is_not_guessed(variant: Resolved) -> None:
    frozen = replace(variant, request=replace(variant.request, backbone="vgg19"))
    images = {"learnt": 10, "validated": 10}
    assert estimated_seconds([variant, frozen], **images, seeds=1, room=ALONE) is None
    costs = relative_costs([frozen, longer(frozen, 6)], **images)
    assert costs["w"] == 3 * costs["v"]


def test_trainings_are_weighed_by_their_work(variant: Resolved) -> None:
    costs = relative_costs([variant, longer(variant, 200)], learnt=10_000, validated=10)
    assert costs["w"] > 10 * costs["v"]


def test_what_is_left_is_what_was_measured_carried_on() -> None:
    assert seconds_left([1, 3], [0, 0], 10) is None
    assert seconds_left([1, 3], [1, 0], 10) == 30
    assert seconds_left([1, 3], [1, 0.5], 10) == pytest.approx(6)
    assert seconds_left([1, 3], [1, 1], 10) == 0

"""Estimates of a strategy's time: their order is that of times that were measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import draw_folder
from tests.jobs.conftest import Install

from convoscope.architecture.zoo import resolve
from convoscope.data.dataset import SplitName
from convoscope.jobs.adapted import Adapted
from convoscope.jobs.ladder_estimate import tuned_seconds
from convoscope.jobs.ladder_plan import adapted_for
from convoscope.jobs.settings import gathered

PER_IMAGE = 0.006
"""Seconds of a pass forward through SqueezeNet 1.0, as measured where the times below were."""

CALTECH5: dict[SplitName, int] = {"train": 250, "validation": 50, "test": 100}
NATURE10: dict[SplitName, int] = {"train": 483, "validation": 103, "test": 104}
NOTHING: dict[SplitName, int] = {"train": 0, "validation": 0, "test": 0}

# Seconds of training alone, after the features; the quickest of three.
MEASURED = (
    (CALTECH5, 5, ("svm", 5, None, 0.185), ("last", 5, None, 0.448)),
    (CALTECH5, 5, ("svm", 20, None, 0.185), ("last", 20, None, 2.843)),
    (CALTECH5, 5, ("last", 5, "flatten", 0.276), ("svm", 5, "flatten", 17.306)),
    (NATURE10, 10, ("last", 5, None, 0.773), ("svm", 5, None, 1.113)),
    (NATURE10, 10, ("svm", 20, None, 1.113), ("last", 20, None, 3.044)),
)


def adapted(data: Path, tune: str, epochs: int, head: str | None = None) -> Adapted:
    """A small SqueezeNet's stages; what it takes does not depend on its weights."""
    own: dict[str, Any] = {"backbone": "squeezenet1_0", "tune": tune, "epochs": epochs}
    return adapted_for(gathered(data, None, None, own | ({} if head is None else {"head": head})))


def seconds_of(of: Adapted, counts: dict[SplitName, int]) -> float:
    """Of one training, features aside."""
    return tuned_seconds(of, per_image=PER_IMAGE, counts=counts)[1]


@pytest.mark.parametrize(("counts", "classes", "quicker", "slower"), MEASURED)
def test_the_order_is_that_of_measured_times(
    tmp_path: Path,
    install: Install,
    counts: dict[SplitName, int],
    classes: int,
    quicker: tuple[str, int, str | None, float],
    slower: tuple[str, int, str | None, float],
) -> None:
    install("squeezenet1_0", architecture=resolve("squeezenet1_0"))
    names = [f"class{number}" for number in range(classes)]
    data = draw_folder(tmp_path / "data", names, per_class=1)
    estimates = []
    for tune, epochs, head, measured in (quicker, slower):
        found = adapted(data, tune, epochs, head)
        estimate = seconds_of(found, counts) - seconds_of(found, NOTHING)
        assert measured / 3 < estimate < 3 * measured
        estimates.append(estimate)
    assert estimates == sorted(estimates)


def test_two_classes_take_a_single_machine(tmp_path: Path, install: Install) -> None:
    install("squeezenet1_0", architecture=resolve("squeezenet1_0"))
    seconds = {}
    for classes in (2, 4, 8):
        names = [f"class{number}" for number in range(classes)]
        data = draw_folder(tmp_path / str(classes), names, per_class=1)
        seconds[classes] = seconds_of(adapted(data, "svm", 1), NOTHING | {"train": 100_000})
    three, four = seconds[4] - seconds[2], seconds[8] - seconds[4]
    assert three / four == pytest.approx(3 / 4, rel=0.01)

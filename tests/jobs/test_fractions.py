"""Learning curves over parts of the training images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.jobs.conftest import Install
from tests.networks import TINY

from convoscope.arrays import FloatArray, generator
from convoscope.errors import RunError, SettingsError
from convoscope.jobs.fractions import AskedCurves, _ways, learning_curves, resume
from convoscope.jobs.fractions_compare import compare, errors_halved
from convoscope.jobs.fractions_draw import drawn, fractions_of
from convoscope.jobs.ladder_plan import Asked
from convoscope.jobs.ladder_trainings import Watching
from convoscope.jobs.prepare import prepare
from convoscope.jobs.settings import request
from convoscope.jobs.train import train
from convoscope.runs import Run


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A network that trains in no time."""
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    return file


def curves(data: Path, net: Path, out: Path, **how: Any) -> Run:
    """From scratch and a machine on frozen features, from a half and from all."""
    asked = AskedCurves(
        fractions=(0.5, 1.0),
        model=str(net),
        ladder=Asked(backbones=("vgg19",), strategies=("svm",), seeds=1),
    )
    return learning_curves(asked, data, out=out, epochs=2, batch=8, engine="numpy", **how)


@pytest.mark.slow
def test_every_way_learns_from_every_part_and_is_judged_on_the_same_images(
    tmp_path: Path, shapes_folder: Path, net: Path, install: Install
) -> None:
    install()
    ended: list[str] = []
    watching = Watching(
        news=lambda news: ended.append(type(news).__name__),
        should_stop=lambda: ended.count("Ended") == 3,
    )
    run = curves(shapes_folder, net, tmp_path / "r", watching=watching)
    assert run.record().status == "interrupted"
    assert [p.name for p in sorted((run.path / "subsets").iterdir())] == ["0.5-0.csv", "1-0.csv"]
    assert len(compare(run).missing) == 1
    resume(run.path)
    found = compare(run)
    assert [c.way.title for c in found.curves] == ["tiny from scratch", "vgg19 svm"]
    assert [p.images for c in found.curves for p in c.points] == [12, 24, 12, 24]
    assert [p.per_class for c in found.curves for p in c.points] == [4, 8, 4, 8]
    said = [
        Run(path).predictions("validation")
        for c in found.curves
        for p in c.points
        for path in p.runs
    ]
    assert len({each.ids for each in said}) == 1
    assert not found.missing
    assert "vgg19 svm" in found.sentence
    with pytest.raises(RunError, match="nothing is left of these"):
        resume(run.path)


def test_parts_are_nested_and_stratified(tmp_path: Path, make_image_folder: Any) -> None:
    data = make_image_folder(tmp_path / "d", per_class=20)
    prepared = prepare(request({"data": str(data), "model": "small", "input": "16"}))
    parts = drawn(prepared, (0.1, 0.5, 1.0), seed=3)
    small, half, whole = (set(parts[f].tolist()) for f in (0.1, 0.5, 1.0))
    assert small < half < whole == set(prepared.splits.indices["train"].tolist())
    labels = prepared.dataset.labels["class"]
    counts = np.bincount(labels[sorted(half)])
    every = np.bincount(labels[sorted(whole)])
    assert (np.abs(counts - every / 2) <= 0.5).all()
    other = drawn(prepared, (0.5,), seed=4)[0.5]
    assert set(other.tolist()) != half


def test_a_part_without_an_image_of_a_class_is_refused(
    tmp_path: Path, make_image_folder: Any
) -> None:
    data = make_image_folder(tmp_path / "d", splits={"train": 8, "val": 4, "test": 4})
    prepared = prepare(request({"data": str(data), "model": "small", "input": "16"}))
    with pytest.raises(SettingsError, match=r"0.05 of the 8 training images of 'bars' is none"):
        drawn(prepared, (0.05, 1.0), seed=0)
    # What the sentence says to begin with is enough.
    assert len(drawn(prepared, (0.063, 1.0), seed=0)[0.063]) == 3


@pytest.mark.parametrize("text", ["0,1", "0.5,1.5", "half,1", "-0.1,1", "nan,1"])
def test_what_is_no_fraction_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be a number above 0 and at most 1, got"):
        fractions_of(text)


@pytest.mark.parametrize("text", ["1", "0.5,0.5", "0.5"])
def test_a_curve_needs_two_parts(text: str) -> None:
    with pytest.raises(SettingsError, match="two different parts or more"):
        fractions_of(text)


def test_fractions_are_put_in_order() -> None:
    assert fractions_of("1, 0.25,0.5") == (0.25, 0.5, 1.0)


def answers(error: float, seed: int) -> FloatArray:
    rng = generator(seed, "answers")
    right: FloatArray = (rng.random((1, 4_000)) >= error).astype(np.float64)
    return right


@pytest.fixture
def falling() -> Callable[[float], list[FloatArray]]:
    """Answers of three parts of 10, 20 and 40 images whose errors fall as that power."""
    return lambda power: [answers(0.4 * 2 ** (-power * k), k) for k in range(3)]


def test_errors_that_fall_as_a_power_are_halved_where_the_power_says(
    falling: Callable[[float], list[FloatArray]],
) -> None:
    found = errors_halved([10, 20, 40], falling(0.5))
    assert found is not None
    value, interval = found
    assert value == pytest.approx(160, rel=0.3)  # 40 * 2 ** (1 / 0.5)
    assert interval.low < 160 < interval.high


def test_errors_that_do_not_fall_say_nothing(
    falling: Callable[[float], list[FloatArray]],
) -> None:
    assert errors_halved([10, 20, 40], falling(0.0)) is None
    assert errors_halved([10, 20], falling(0.5)[:2]) is None
    assert errors_halved([10, 20, 40], [np.ones((1, 50))] * 3) is None


def test_a_network_of_one_s_own_is_a_way_beside_scratch(
    tmp_path: Path, shapes_folder: Path, net: Path
) -> None:
    own = train(shapes_folder, model=net, epochs=1, engine="numpy", out=tmp_path / "own-1")
    asked = AskedCurves(
        fractions=(0.5, 1.0),
        model=str(net),
        ladder=Asked(runs=(str(own.path),), strategies=("last", "last:2"), seeds=1),
    )
    (scratch, _), *tuned = _ways(asked, shapes_folder, None, {"engine": "numpy"})
    assert scratch.settings["tune"] is None
    assert [way.title for way, _ in tuned] == ["own-1 last", "own-1 last:2"]
    for way, asked_of in tuned:
        assert way.settings["from_run"] == asked_of.from_run == str(own.path)
        assert way.settings["backbone"] is None

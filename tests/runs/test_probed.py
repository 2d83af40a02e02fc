"""The files of probe images: few, small, and read whole or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convoscope.arrays import generator
from convoscope.errors import RunError
from convoscope.runs.probed import (
    MOST_EPOCHS,
    ProbedEpoch,
    ProbedLayer,
    ProbePlan,
    begin_probe,
    keep_epoch,
    kept_epochs,
    read_probed,
)

PLAN = ProbePlan(
    split="validation",
    head="class",
    class_names=("cat", "dog"),
    ids=("a.png", "b.png"),
    labels=(0, 1),
    heat_layer="conv1",
    layers=(ProbedLayer(name="conv1", channels=(0, 1, 2)),),
    filter_layer="conv1",
    filters=(0, 1),
)


def epoch(number: int) -> ProbedEpoch:
    rng = generator(0, "epoch", number)
    return ProbedEpoch(
        epoch=number,
        probabilities=rng.dirichlet([1, 1], size=2),
        heat=rng.random((2, 4, 4)),
        maps={"conv1": rng.normal(size=(2, 3, 4, 4))},
        filters=rng.normal(size=(2, 3, 3, 3)),
    )


def begun(run: Path) -> Path:
    begin_probe(run, PLAN, np.zeros((2, 8, 8, 3), np.uint8))
    return run


def test_an_epoch_is_read_as_it_was_but_for_a_byte_s_rounding(tmp_path: Path) -> None:
    keep_epoch(begun(tmp_path), epoch(0))
    probed = read_probed(tmp_path)
    assert probed is not None
    assert probed.plan == PLAN
    (found,), asked = probed.epochs, epoch(0)
    for had, got in (
        (asked.heat, found.heat),
        (asked.maps["conv1"], found.maps["conv1"]),
        (asked.filters, found.filters),
    ):
        step = (max(had.max(), 0) - min(had.min(), 0)) / 255
        assert np.abs(got - had).max() <= 0.51 * step
    assert np.allclose(found.probabilities, asked.probabilities, atol=1e-6)


def test_of_many_epochs_only_some_stay_and_the_last(tmp_path: Path) -> None:
    begun(tmp_path)
    for number in range(61):
        keep_epoch(tmp_path, epoch(number))
    probed = read_probed(tmp_path)
    assert probed is not None
    assert tuple(found.epoch for found in probed.epochs) == kept_epochs(60)
    assert kept_epochs(60) == (*range(0, 61, 4),)
    assert kept_epochs(61) == (*range(0, 61, 4), 61)


def test_what_is_kept_later_was_always_kept_before() -> None:
    kept = {0}
    for last in range(1, 3000):
        kept.add(last)
        kept &= set(kept_epochs(last))
        assert kept == set(kept_epochs(last))
        assert len(kept) <= MOST_EPOCHS
    assert kept_epochs(10) == tuple(range(11))


def test_values_that_are_no_numbers_are_kept_as_nothing(tmp_path: Path) -> None:
    asked = epoch(0)
    asked.heat[0, 0, 0] = np.nan
    asked.maps["conv1"][0, 0, 0, 0] = np.inf
    keep_epoch(begun(tmp_path), asked)
    probed = read_probed(tmp_path)
    assert probed is not None
    assert probed.epochs[0].heat[0, 0, 0] == 0
    assert np.isfinite(probed.epochs[0].maps["conv1"]).all()


def test_a_manifest_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "probe" / "probe.json").write_text('{"split": "train"}')
    with pytest.raises(RunError, match=r"probe\.json: head: field required: delete the folder"):
        read_probed(tmp_path)


def test_images_that_are_gone_are_said(tmp_path: Path) -> None:
    (begun(tmp_path) / "probe" / "images.npz").unlink()
    with pytest.raises(RunError, match=r"must hold the probe images .*'a.png'.*delete that folder"):
        read_probed(tmp_path)

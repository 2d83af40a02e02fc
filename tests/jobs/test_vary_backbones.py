"""Variations of what is put on a pretrained network, of how it is taught, and of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import draw_folder
from tests.jobs.conftest import Install

from convoscope.jobs.vary import vary
from convoscope.jobs.vary_compare import compare
from convoscope.jobs.vary_space import from_sets
from convoscope.runs import Run
from convoscope.runs.variations import read_plan


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "shapes", splits={"train": 8, "val": 4, "test": 4})


def varied(data: Path, out: Path, *sets: str, **settings: Any) -> Run:
    asked: dict[str, Any] = {"epochs": 1, "batch": 8, "engine": "numpy", "seeds": 1, "jobs": 2}
    return vary(from_sets(sets), data, out=out, **asked, **settings)


def test_heads_share_the_frozen_features(data: Path, install: Install, tmp_path: Path) -> None:
    install()
    run = varied(data, tmp_path / "heads", "head=linear,norm-linear", backbone="vgg19")
    found = compare(run)
    assert run.record().status == "finished"
    linear, normed = found.trained
    assert normed.parameters > linear.parameters
    assert len([*(tmp_path / "cache" / "features").iterdir()]) == 1


def test_a_backbone_is_named_by_what_is_varied_and_what_cannot_be_is_refused_first(
    data: Path, install: Install, tmp_path: Path
) -> None:
    install()
    sets = ("backbone=vgg19,squeezenet1_0", "tune=last,last:99", "augment=none,flip")
    run = varied(data, tmp_path / "r", *sets)
    assert run.record().settings["backbone"] == "vgg19"
    refusals = {v.label: str(v.refusal) for v in read_plan(run).variants if v.refusal}
    assert len(refusals) == 7
    said = " ".join(refusals.values())
    assert "weights" in said
    assert "--tune last:99: vgg19 has" in said
    assert "augment 'flip': a frozen backbone computes an image once" in said
    (one,) = compare(run).trained
    assert one.variant.levels["backbone"] == "vgg19"

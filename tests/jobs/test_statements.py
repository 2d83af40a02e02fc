"""Statements about a run's network: from its own images, and of scores where things are marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeImageFolder

from convoscope import explain
from convoscope.errors import DataError
from convoscope.explain.statements import (
    neighbour_similarities,
    on_the_thing,
    oriented_filters,
    separable,
    shift_similarities,
    shift_tolerant,
)
from convoscope.jobs.statements import of_scores, statements_of
from convoscope.jobs.train import train
from convoscope.jobs.trained import trained_network
from convoscope.runs import Run
from convoscope.runs.explanation_scores import Scored, ScoredImage, Scores, write_scores


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_image_folder: MakeImageFolder) -> Run:
    folder = tmp_path_factory.mktemp("stated")
    splits = {"train": 6, "val": 3, "test": 4}
    data = make_image_folder(folder / "shapes", splits=splits)
    return train(
        data, model="small", input="16", epochs=1, batch=8, device="cpu", out=folder / "run"
    )


def test_what_is_said_is_computed_from_all_test_images(run: Run) -> None:
    said = statements_of(run, device="cpu")
    network, predictions = trained_network(run, device="cpu"), run.predictions("test")
    direction = oriented_filters("conv1", explain.filters(network, "conv1"))
    assert [one for one in said if one.about == "direction"] == [direction]
    root = Path(run.record().data["root"])
    files = [root / name for name in predictions.ids]
    images = np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files])
    maps = explain.feature_maps(network, images, ["conv1"])["conv1"]
    labels = predictions.heads["class"].labels
    (found,) = [one for one in said if (one.about, one.layer) == ("separability", "conv1")]
    assert found.count == 12
    assert found == separable("conv1", maps.mean(axis=(2, 3)), labels)
    moved = [one for one in said if one.about == "shift"]
    assert moved[0].layer == "conv1"
    assert all(one.figure.value is not None and 0 < one.figure.value <= 1 for one in moved)
    assert {tuple(shift.pixels for shift in one.shifts) for one in moved} == {(1, 2, 4, 8)}
    assert moved[0].step == 1
    assert {one.step for one in moved if network.layer_shapes[one.layer][1:] == ()} <= {None}


def test_moved_images_are_the_images_of_the_run_moved(run: Run) -> None:
    said = statements_of(run, device="cpu")
    network, predictions = trained_network(run, device="cpu"), run.predictions("test")
    root = Path(run.record().data["root"])
    files = [root / name for name in predictions.ids]
    images = np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files])
    alike = shift_similarities(network, images, ["conv1"], [1, 2, 4, 8])["conv1"]
    (found,) = [one for one in said if (one.about, one.layer) == ("shift", "conv1")]
    others = neighbour_similarities(network, images, ["conv1"])["conv1"].mean()
    assert found == shift_tolerant("conv1", alike, [1, 2, 4, 8], others=float(others), step=1)


def scored(mass: float | None) -> Scored:
    return Scored(
        shares=(0.0, 1.0),
        insertion=(0.0, 1.0),
        deletion=(1.0, 0.0),
        drop=0.1,
        increases=False,
        mass=mass,
    )


def test_scores_of_marked_things_are_said_too(tmp_path: Path) -> None:
    assert of_scores(tmp_path) == ()
    masses = ((0.7, 0.25), (0.8, 0.2), (None, None))
    images = tuple(
        ScoredImage(
            name=str(place),
            head="class",
            class_name="cat",
            probability=0.9,
            methods={"grad-cam": scored(own), "centre": scored(chance), "chance": scored(chance)},
        )
        for place, (own, chance) in enumerate(masses)
    )
    scores = Scores(
        methods=("grad-cam",),
        titles={"grad-cam": "Grad-CAM"},
        baselines=("centre", "chance"),
        layer="conv1",
        images=images,
    )
    write_scores(tmp_path, scores)
    expected = on_the_thing("Grad-CAM", np.array([0.7, 0.8]), np.array([0.25, 0.2]))
    assert of_scores(tmp_path) == (expected,)
    assert expected.figure.value == pytest.approx(0.75)


def test_images_that_are_gone_are_said(run: Run) -> None:
    file = Path(run.record().data["root"]) / run.predictions("test").ids[0]
    kept = file.read_bytes()
    file.unlink()
    try:
        with pytest.raises(DataError, match="it is no longer there"):
            statements_of(run, device="cpu")
    finally:
        file.write_bytes(kept)

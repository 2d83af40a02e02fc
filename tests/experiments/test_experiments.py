"""What comes along: every shipped variation can be, every published figure is as published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import draw_folder

from convoscope.data.dataset import Dataset
from convoscope.data.sources import open_dataset
from convoscope.errors import UnknownNameError
from convoscope.experiments import row_4
from convoscope.experiments.catalogue import (
    EXPERIMENTS,
    Experiment,
    experiment,
    experiment_of,
)
from convoscope.experiments.published import Published, beside
from convoscope.experiments.shipped import SHIPPED, variations_file
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.settings import request
from convoscope.jobs.vary_resolve import Resolved, resolve_each, with_bases
from convoscope.jobs.vary_space import read_space, variants
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.runs import Run, RunRecord


def resolve(name: str, dataset: Dataset, data: str) -> tuple[Resolved, ...]:
    space = read_space(variations_file(name))
    base: TrainRequest = request({"data": data, "model": space.model, **space.settings})
    planned = variants(with_bases(space, base, dataset), space.combine)
    good, refused = resolve_each(planned, base, dataset)
    assert not refused
    return good


@pytest.mark.parametrize("channels", [1, 3])
def test_every_variation_of_row_9d_can_be_on_digits_and_on_lines(channels: int) -> None:
    pixels = np.zeros((4, 28, 28, channels), np.uint8)
    dataset = Dataset(
        name="x",
        root=None,
        labels={"class": np.array([0, 1, 0, 1])},
        class_names={"class": ("a", "b")},
        ids=("0", "1", "2", "3"),
        pixels=pixels,
    )
    good = resolve("row-9d", dataset, "digits")
    names = [one.planned.name for one in good]
    assert len(names) == 16
    assert names[0] == "as-it-is"
    sizes = {one.planned.levels["filter size"] for one in good}
    assert sizes == {"2", "3", "5", "7"}
    before = next(one for one in good if "before-the-activation" in one.planned.name)
    assert [layer.kind for layer in before.architecture.layers][:3] == [
        "conv2d",
        "batch_norm",
        "activation",
    ]


def test_row_4_is_three_networks_of_the_published_sizes_and_three_additions(tmp_path: Path) -> None:
    data = draw_folder(tmp_path / "d", classes=tuple("abcde"), per_class=2)
    good = resolve("row-4", open_dataset(str(data)), str(data))
    assert len(good) == 12
    published = {one.network: one.parameters for one in row_4.PUBLISHED}
    for one in good:
        if one.planned.levels["addition"] == "none":
            count = sum(
                place.layer.parameter_count(place.input_shape)
                for place in map(one.architecture.place, one.architecture.layer_names)
            )
            assert count == published[one.planned.levels["network"]]
        assert (one.request.batch, one.request.optimiser, one.request.input) == (50, "adam", "224")


def test_a_published_accuracy_is_inside_or_not(tmp_path: Path) -> None:
    runs = []
    for seed, right in enumerate((15, 17)):
        run = Run(tmp_path / str(seed))
        logits = np.zeros((20, 2))
        logits[:right, 0] = 1
        logits[right:, 1] = 1
        head = HeadPredictions(class_names=("a", "b"), labels=np.zeros(20, np.int64), logits=logits)
        run.write_predictions(
            Predictions(split="test", ids=tuple(map(str, range(20))), heads={"class": head})
        )
        runs.append(run)
    for accuracy, is_inside in ((0.8, True), (0.3, False)):
        said = Published(
            network="n", accuracy={"test": accuracy}, loss={"test": 1.0}, parameters=1, epochs=1
        )
        (row,) = beside(said, runs)
        assert row.ours.value == pytest.approx(0.8)
        assert (row.least, row.most, row.images) == (0.75, 0.85, 20)
        assert row.is_inside is is_inside
        assert json.loads(json.dumps(row.to_json()))["is_inside"] is is_inside


def test_names_that_nobody_knows_are_said() -> None:
    with pytest.raises(UnknownNameError, match="there is no experiment 'row-44': did you mean 'r"):
        experiment("row-44")
    with pytest.raises(UnknownNameError, match="there is no list of variations 'row-9': did you"):
        variations_file("row-9")
    assert variations_file("mine.yaml") == Path("mine.yaml")
    varied = [one for one in EXPERIMENTS.values() if isinstance(one, Experiment)]
    assert {one.variations for one in varied} <= set(SHIPPED)


def test_a_run_knows_which_experiment_it_repeats() -> None:
    def record(*words: str) -> RunRecord:
        return RunRecord(kind="variations", settings={}, command=words, seed=0, started="")

    assert experiment_of(record("vary", "--named", "row-4")) is EXPERIMENTS["row-4"]
    assert experiment_of(record("vary", "--named", "row-4", "--set", "epochs=1,2")) is None
    assert experiment_of(record("vary", "--named", "other.yaml")) is None
    assert experiment_of(record("vary", "--set", "epochs=1,2")) is None

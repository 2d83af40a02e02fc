"""A run's network opened again: adopted modules are made anew, and nothing is downloaded."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture import files
from convoscope.architecture.graph import Head
from convoscope.architecture.layers import Dense, GlobalAvgPool
from convoscope.arrays import FloatArray, generator
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import ArchitectureError
from convoscope.jobs.trained import trained_network
from convoscope.network import HeadLoss, Network, Optimiser
from convoscope.runs import Run, RunRecord

SHAPE = (3, 64, 64)
PREPROCESSING = Preprocessing(size=SHAPE[1:], resize="crop", mean=(0.5,), sd=(0.25,))


@pytest.fixture
def images() -> FloatArray:
    return generator(0, "images").random((4, *SHAPE), dtype=np.float32)


@pytest.fixture
def network(images: FloatArray) -> Network:
    """A small residual network of timm's with a head of three classes, after a step."""
    trunk = engines.blueprint("timm/test_resnet", SHAPE, cut="layer4").architecture
    head = Head(layers=(GlobalAvgPool("pool"), Dense("dense", 3)))
    fresh = engines.build(replace(trunk, heads=(head,)), preprocessing=PREPROCESSING, seed=1)
    learner = engines.learner(fresh, optimiser=Optimiser(), losses=[HeadLoss(head="class")])
    learner.step(images, {"class": np.array([0, 1, 2, 1])})
    return learner.network


@pytest.fixture
def run(network: Network, tmp_path: Path) -> Run:
    """It, saved as a run saves it."""
    saved = Run(tmp_path / "r")
    saved.write_record(RunRecord(kind="train", settings={}, command=(), seed=1, started=""))
    model = {
        "engine": "torch",
        "preprocessing": asdict(PREPROCESSING),
        "class_names": {"class": ["a", "b", "c"]},
    }
    saved.write_model(files.to_yaml(network.architecture), network.parameters(), model)
    return saved


def test_an_adopted_network_says_the_same_when_it_is_opened_again(
    run: Run, network: Network, images: FloatArray
) -> None:
    opened = trained_network(run)
    assert opened.architecture == network.architecture
    assert opened.preprocessing == PREPROCESSING
    assert opened.layer_names == network.layer_names
    np.testing.assert_array_equal(opened.logits(images)["class"], network.logits(images)["class"])


def test_batch_norms_running_statistics_and_counters_come_back(run: Run, network: Network) -> None:
    before, after = network.parameters(), trained_network(run).parameters()
    assert before.keys() == after.keys()
    assert after["trunk.bn1.num_batches_tracked"] == 1
    for name, array in before.items():
        assert array.tobytes() == after[name].tobytes(), name


def test_the_numpy_engine_refuses_it(run: Run) -> None:
    with pytest.raises(ArchitectureError, match="got a network adopted from timm/test_resnet"):
        trained_network(run, engine="numpy")

"""Our own networks on small parts of the sets whose figures they are made for.

The whole sets, unattended: ``convoscope train lines -m own-net --validation 0 -e 8 -b 128 -l 0.002
--schedule cosine --warmup 1`` has all 38,400 test images right, and so have the four heads of
``lines:heads -m four-heads``. All 70,000 digits, 28,000 of them for testing, with ``-m own-net
--validation 0 -e 20 -b 64 --optimiser adamw -l 0.002 --weight-decay 0.05 --schedule cosine --warmup
1 --augment handwriting`` give 0.9963.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import SHARED

from convoscope.data.idx import read_idx
from convoscope.jobs.train import train
from convoscope.metrics.summary import summarise
from convoscope.runs import Run

MNIST = SHARED / "mnist"
pytestmark = pytest.mark.slow


def accuracy(run: Run) -> float:
    value = summarise(run.predictions("test")).whole.accuracy.value
    assert value is not None
    return value


@pytest.mark.skipif(not MNIST.is_dir(), reason=f"MNIST is not at {MNIST}")
def test_3000_digits_teach_own_net_nearly_all_of_mnist(tmp_path: Path) -> None:
    dataset = read_idx(MNIST)
    assert dataset.pixels is not None
    rows = np.random.default_rng(0).permutation(len(dataset))[:4000]
    np.savez(
        tmp_path / "part.npz", images=dataset.pixels[rows], labels=dataset.labels["class"][rows]
    )
    run = train(
        tmp_path / "part.npz", model="own-net", out=tmp_path / "run", test=0.25, validation=0.0,
        epochs=3, batch=32, learning_rate=0.002, schedule="cosine", augment="handwriting",
    )  # fmt: skip
    assert accuracy(run) > 0.96


def test_a_few_lines_of_each_class_teach_four_heads_most_of_it(tmp_path: Path) -> None:
    run = train(
        "lines:heads@24/6", model="four-heads", out=tmp_path / "run", validation=0.0,
        epochs=4, batch=32, learning_rate=0.002, schedule="cosine",
    )  # fmt: skip
    heads = summarise(run.predictions("test")).heads
    right = {name: head.correct / head.n for name, head in heads.items()}
    assert min(right["length"], right["width"], right["colour"]) > 0.95
    assert right["angle"] > 0.4, "guessing gives 0.08"

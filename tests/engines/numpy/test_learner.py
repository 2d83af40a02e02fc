"""The NumPy learner: it learns, its state is all of it, and a step needs little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d
from convoscope.arrays import Array, FloatArray, generator
from convoscope.errors import SettingsError, ShapeError, UnknownNameError, WeightsError
from convoscope.network import HeadLoss, Learner, Optimiser

NET = Architecture(
    name="net",
    input_shape=(1, 8, 8),
    layers=(Conv2d("conv", 6, activation="relu"), BatchNorm("norm"), MaxPool2d("pool")),
    heads=(Head(layers=(Flatten("flat"), Dropout("drop", 0.3), Dense("logits", 2))),),
)


def stripes(count: int) -> tuple[FloatArray, dict[str, Array]]:
    """Horizontal (0) and vertical (1) stripes with noise, (N, 1, 8, 8)."""
    rng = generator(0, "stripes", count)
    labels = rng.integers(0, 2, count)
    rows = np.broadcast_to(np.arange(8)[:, None] % 2, (8, 8))
    patterns = np.stack([rows, rows.T])[labels][:, None]
    return patterns * 0.6 + 0.4 * rng.random((count, 1, 8, 8)), {"class": labels}


def learner_for(
    optimiser: Optimiser | None = None, *, seed: int = 0, architecture: Architecture = NET
) -> Learner:
    return engines.learner(
        engines.build(architecture, engine="numpy", seed=1),
        optimiser=optimiser or Optimiser(learning_rate=0.01),
        losses=[HeadLoss(head="class")],
        seed=seed,
    )


def test_it_learns_to_tell_stripes_apart() -> None:
    learner = learner_for()
    images, labels = stripes(64)
    for _ in range(30):
        learner.step(images, labels)
    losses = learner.drain_losses()
    assert losses.shape == (30,)
    assert losses[-1] < 0.1 < losses[0]
    assert learner.drain_losses().shape == (0,)
    fresh, answers = stripes(32)
    assert (learner.network.logits(fresh)["class"].argmax(axis=1) == answers["class"]).all()


def test_learning_does_not_change_the_network_it_started_from() -> None:
    network = engines.build(NET, engine="numpy")
    before = network.parameters()
    learner = engines.learner(
        network, optimiser=Optimiser(), losses=[HeadLoss(head="class")], seed=0
    )
    learner.step(*stripes(8))
    for name, array in network.parameters().items():
        np.testing.assert_array_equal(array, before[name])
    changed = learner.network.parameters()
    assert not np.array_equal(changed["norm.running_mean"], before["norm.running_mean"])


@pytest.mark.parametrize(
    "optimiser", [Optimiser(kind="sgd", momentum=0.9), Optimiser()], ids=["momentum", "adam"]
)
def test_going_on_from_a_state_is_byte_identical(optimiser: Optimiser) -> None:
    straight, first, second = (learner_for(optimiser) for _ in range(3))
    images, labels = stripes(16)
    for _ in range(4):
        straight.step(images, labels)
    for _ in range(2):
        first.step(images, labels)
    state = first.state()
    first.step(images, labels)  # a state is a copy: what comes later does not reach it
    second.load_state(state)
    for _ in range(2):
        second.step(images, labels)
    expected = straight.state()
    for name, array in second.state().items():
        np.testing.assert_array_equal(array, expected[name], strict=True)


def test_there_is_one_machine() -> None:
    assert (learner_for().rank, learner_for().world_size) == (0, 1)


def test_dropout_depends_on_the_seed() -> None:
    one, other = learner_for(seed=1), learner_for(seed=2)
    for learner in (one, other):
        learner.step(*stripes(16))
    assert one.drain_losses()[0] != other.drain_losses()[0]


def test_another_networks_or_optimisers_state_is_refused() -> None:
    learner = learner_for(Optimiser(kind="sgd"))
    with pytest.raises(WeightsError, match="first_moment"):
        learner.load_state(learner_for().state())
    with pytest.raises(WeightsError, match=r"network\.conv\.weight"):
        learner.load_state({"step": np.array([3])})


def test_heads_rates_and_labels_that_do_not_fit_are_one_sentence() -> None:
    network = engines.build(NET, engine="numpy")
    with pytest.raises(UnknownNameError, match="no head 'klass': did you mean 'class'"):
        engines.learner(network, optimiser=Optimiser(), losses=[HeadLoss(head="klass")])
    with pytest.raises(UnknownNameError, match="there is no layer 'kon'"):
        engines.learner(
            network, optimiser=Optimiser(), losses=[HeadLoss(head="class")], rates={"kon": 0.0}
        )
    images, _ = stripes(4)
    with pytest.raises(SettingsError, match="a label must be from 0 to 1"):
        learner_for().step(images, {"class": np.array([0, 1, 2, 0])})
    with pytest.raises(ShapeError, match="got int64"):
        learner_for().step(images.astype(int), {"class": np.array([0, 1, 1, 0])})


def test_a_step_needs_no_copy_of_a_large_weight_or_of_its_gradient() -> None:
    wide = Architecture(
        name="wide",
        input_shape=(1, 32, 32),
        layers=(),
        heads=(Head(layers=(Flatten("flat"), Dense("hidden", 4096), Dense("logits", 2))),),
    )
    learner = learner_for(Optimiser(kind="sgd"), architecture=wide)
    images = generator(0, "wide").random((4, 1, 32, 32), dtype=np.float32)
    weight_bytes = 4 * 4096 * 1024
    learner.step(images, {"class": np.array([0, 1, 0, 1])})
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    learner.step(images, {"class": np.array([0, 1, 0, 1])})
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < weight_bytes / 2

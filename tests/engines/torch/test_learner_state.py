"""States resume bit for bit, the same seed gives the same bytes, what is frozen never moves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from tests.engines.torch.conftest import (
    OPTIMISERS,
    described,
    make_batch,
    make_learner,
    same_bytes,
    teach,
)
from torch import Tensor, nn

from convoscope.architecture.graph import Architecture
from convoscope.arrays import Array
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.learner import TorchLearner, learner
from convoscope.errors import WeightsError
from convoscope.network import HeadLoss, Optimiser, Precision


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=described)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_learner_ends_byte_identical(
    small_net: Architecture, optimiser: Optimiser, precision: Precision
) -> None:
    rates = {"conv1": 0.0, "norm1": 0.0, "": 0.5}
    whole = make_learner(small_net, optimiser, rates=rates, precision=precision)
    teach(whole, range(3))
    kept = whole.state()
    teach(whole, range(3, 6))

    fresh = make_learner(small_net, optimiser, rates=rates, precision=precision)
    teach(fresh, range(20, 22))  # whatever it did before
    fresh.load_state(kept)
    assert same_bytes(fresh.state(), kept)
    teach(fresh, range(3, 6))

    assert same_bytes(fresh.state(), whole.state())
    assert whole.drain_losses()[3:].tobytes() == fresh.drain_losses().tobytes()


def test_the_same_seed_gives_the_same_bytes(small_net: Architecture) -> None:
    one, two = (make_learner(small_net, precision="float32") for _ in range(2))
    other = make_learner(small_net, precision="float32", seed=8)
    for student in (one, two, other):
        torch.rand(3)  # PyTorch's own generator has no say
        teach(student, range(3))
    assert same_bytes(one.state(), two.state())
    assert not same_bytes(one.state(), other.state())


def test_a_state_is_a_copy_and_names_what_it_holds(small_net: Architecture) -> None:
    student = make_learner(small_net, Optimiser(kind="adam"))
    teach(student, range(1))
    state = student.state()
    assert {key.split("/")[0] for key in state} == {"parameters", "optimiser", "step"}
    assert "parameters/norm1.running_var" in state
    assert "optimiser/second_moment/conv1.weight" in state
    assert state["step"] == 1
    before = {key: array.copy() for key, array in state.items()}
    teach(student, range(1, 2))
    assert same_bytes(state, before)


def test_what_is_frozen_does_not_move_by_a_byte(small_net: Architecture) -> None:
    frozen = ("conv1.", "norm1.", "norm2.bias", "dense.")
    rates = {"conv1": 0.0, "norm1": 0.0, "norm2.bias": 0.0, "dense": 0.0}
    student = make_learner(
        small_net, Optimiser(kind="adamw", weight_decay=0.5), rates=rates, precision="float32"
    )
    before = student.network.parameters()
    teach(student, range(3))
    for name, array in student.network.parameters().items():
        is_same = array.tobytes() == before[name].tobytes()
        assert is_same == name.startswith(frozen), name
    assert not any(
        key.partition("/")[2].split("/")[-1].startswith(frozen)
        for key in student.state()
        if key.startswith("optimiser/")
    )


def test_batch_norm_that_learns_in_part_keeps_moving(small_net: Architecture) -> None:
    student = make_learner(small_net, rates={"norm1.bias": 0.0})
    before = student.network.parameters()
    teach(student, range(1))
    after = student.network.parameters()
    np.testing.assert_array_equal(after["norm1.bias"], before["norm1.bias"])
    assert (after["norm1.running_mean"] != before["norm1.running_mean"]).all()


class Dropping(nn.Module):
    """An adopted network with PyTorch's own dropout and batch norm inside."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.top = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        top: Tensor = self.top(self.drop(self.body(x).mean((2, 3))))
        return top


def adopted_learner(rates: Mapping[str, float]) -> TorchLearner:
    torch.manual_seed(5)
    network = adopt(Dropping(), input_shape=(3, 8, 8), device="cpu")
    return learner(
        network,
        optimiser=Optimiser(kind="sgd", learning_rate=0.1, weight_decay=0.1),
        losses=[HeadLoss(head="class")],
        rates=rates,
        seed=1,
    )


def test_an_adopted_network_resumes_byte_identical_with_its_own_dropout() -> None:
    whole = adopted_learner({})
    teach(whole, range(2))
    kept = whole.state()
    random = torch.get_rng_state()
    teach(whole, range(2, 4))
    assert torch.equal(torch.get_rng_state(), random)  # its caller's generator is left alone
    fresh = adopted_learner({})
    fresh.load_state(kept)
    torch.rand(9)
    teach(fresh, range(2, 4))
    assert same_bytes(whole.state(), fresh.state())
    assert whole.state()["parameters/trunk.body.1.num_batches_tracked"] == 4


def test_a_frozen_part_of_an_adopted_network_does_not_move_by_a_byte() -> None:
    student = adopted_learner({"trunk.body": 0.0})
    before = student.network.parameters()
    teach(student, range(2))
    for name, array in student.network.parameters().items():
        assert (array.tobytes() == before[name].tobytes()) == name.startswith("trunk.body"), name


def test_weight_decay_spares_the_vectors_of_an_adopted_network() -> None:
    student = adopted_learner({})
    before = student.network.parameters()
    images, _ = make_batch(0)
    student.step(images, {"class": np.full(6, -1)})  # no gradient: what moves is decay
    after = student.network.parameters()
    for name in ("trunk.body.0.weight", "trunk.top.weight"):
        np.testing.assert_allclose(after[name], 0.99 * before[name], rtol=1e-6)
    for name in ("trunk.body.0.bias", "trunk.body.1.weight", "trunk.top.bias"):
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("step", None, "says after which step it was taken, got none"),
        ("parameters/conv1.bias", None, "got none for 'conv1.bias'"),
        ("parameters/conv1.bias", np.zeros(7), "must have the shape (6,), got (7,)"),
        ("optimiser/momentum/conv1.bias", np.zeros(6), "remembers first_moment and second_moment"),
        ("optimiser/first_moment/conv1.bias", np.zeros(7), "must have the shape (6,), got (7,)"),
        ("optimiser/first_moment/conv1.bias", None, "must have the shape (6,), got nothing"),
    ],
)
def test_another_learners_state_is_refused_and_changes_nothing(
    small_net: Architecture, key: str, value: Array | None, message: str
) -> None:
    student = make_learner(small_net, Optimiser(kind="adam"))
    teach(student, range(2))
    before = student.state()
    state = {name: array for name, array in before.items() if name != key}
    state |= {} if value is None else {key: value}
    with pytest.raises(WeightsError) as caught:
        make_learner(small_net, Optimiser(kind="adam")).load_state(state)
    assert message in str(caught.value)
    with pytest.raises(WeightsError):
        student.load_state(state)
    assert same_bytes(student.state(), before)


def test_a_state_of_another_kind_of_optimiser_is_refused(small_net: Architecture) -> None:
    plain = make_learner(small_net, Optimiser(kind="sgd"))
    adam = make_learner(small_net, Optimiser(kind="adam"))
    for student in (plain, adam):
        teach(student, range(1))
    with pytest.raises(WeightsError, match="'sgd' remembers nothing of parameters that learn, got"):
        plain.load_state(adam.state())
    with pytest.raises(WeightsError, match="first_moment and second_moment, got nothing"):
        adam.load_state(plain.state())
    adam.load_state(make_learner(small_net, Optimiser(kind="sgd")).state())  # nothing learnt yet
    assert adam.state()["step"] == 0

"""Learning against a training loop written out with torch.nn.functional and torch.optim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from tests.engines.torch.conftest import (
    LOSSES,
    OPTIMISERS,
    described,
    make_batch,
    make_learner,
    same_bytes,
    teach,
)
from torch import Tensor
from torch.nn import functional

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Dropout, GlobalAvgPool
from convoscope.arrays import Array
from convoscope.engines.torch.learner import learner
from convoscope.engines.torch.network import TorchNetwork
from convoscope.engines.weights import dropout_mask
from convoscope.errors import SettingsError, ShapeError, UnknownNameError
from convoscope.network import HeadLoss, Network, Neuron, Optimiser


class Reference:
    """The fixture's network and its training, written out by hand."""

    def __init__(self, parameters: Mapping[str, Array], optimiser: Optimiser) -> None:
        self.p = {name: torch.from_numpy(a.copy()) for name, a in parameters.items()}
        learnt = {n: t.requires_grad_() for n, t in self.p.items() if "running" not in n}
        decayed = [t for n, t in learnt.items() if n.endswith("weight") and "norm" not in n]
        others = [t for t in learnt.values() if all(t is not d for d in decayed)]
        groups = [
            {"params": decayed, "weight_decay": optimiser.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        betas, rate = (optimiser.beta1, optimiser.beta2), optimiser.learning_rate
        self.optimiser: torch.optim.Optimizer
        if optimiser.kind == "sgd":
            self.optimiser = torch.optim.SGD(
                groups,
                lr=rate,
                momentum=optimiser.momentum,
                nesterov=optimiser.nesterov,
                foreach=False,
                fused=False,
            )
        else:
            rule = torch.optim.Adam if optimiser.kind == "adam" else torch.optim.AdamW
            self.optimiser = rule(
                groups, lr=rate, betas=betas, eps=optimiser.eps, foreach=False, fused=False
            )
        self.rate = rate

    def step(self, pixels: Array, labels: Mapping[str, Array], step: int, rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * rate
        self.optimiser.zero_grad()
        logits, odd = self.forward(torch.from_numpy(pixels.astype(np.float64) / 255), step)
        loss = functional.cross_entropy(logits, torch.from_numpy(labels["class"]))
        target = torch.from_numpy(labels["odd"]).double()
        loss = loss + 0.5 * functional.binary_cross_entropy_with_logits(odd[:, 0], target)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss.item()

    def forward(self, x: Tensor, step: int) -> tuple[Tensor, Tensor]:
        p = self.p
        x = functional.relu(functional.conv2d(x, p["conv1.weight"], p["conv1.bias"], padding=1))
        x = functional.max_pool2d(self.norm(x, "norm1"), 2)
        x = functional.conv2d(x, p["conv2.weight"], padding=1)
        x = functional.avg_pool2d(self.norm(x, "norm2"), 2)
        x = self.drop(x, "drop", 0.3, step)
        odd = functional.linear(x.mean((2, 3)), p["odd1.weight"], p["odd1.bias"])
        x = functional.relu(functional.linear(x.flatten(1), p["dense.weight"], p["dense.bias"]))
        x = self.drop(x, "drop2", 0.5, step)
        return functional.linear(x, p["logits.weight"], p["logits.bias"]), odd

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        unbiased = x.var((0, 2, 3), correction=1)
        for key, batch in (("running_mean", mean), ("running_var", unbiased)):
            self.p[f"{name}.{key}"] = 0.9 * self.p[f"{name}.{key}"] + 0.1 * batch.detach()
        x = (x - mean[:, None, None]) / torch.sqrt(var + 1e-5)[:, None, None]
        weight, bias = self.p[f"{name}.weight"], self.p[f"{name}.bias"]
        return x * weight[:, None, None] + bias[:, None, None]

    @staticmethod
    def drop(x: Tensor, layer: str, rate: float, step: int) -> Tensor:
        kept = dropout_mask(7, step, layer, tuple(x.shape), rate)
        return x * torch.from_numpy(kept) / (1 - rate)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=described)
def test_steps_are_those_of_a_loop_written_by_hand(
    small_net: Architecture, optimiser: Optimiser
) -> None:
    student = make_learner(small_net, optimiser)
    reference = Reference(student.network.parameters(), optimiser)
    expected = []
    for step in range(5):
        pixels, labels = make_batch(step)
        student.step(pixels, labels, rate=1 / (1 + step))
        expected.append(reference.step(pixels, labels, step, 1 / (1 + step)))

    np.testing.assert_allclose(student.drain_losses(), expected, rtol=1e-11)
    for name, array in student.network.parameters().items():
        np.testing.assert_allclose(
            array, reference.p[name].detach().numpy(), rtol=1e-8, atol=1e-11, err_msg=name
        )


def test_the_network_it_was_made_from_never_changes(small_net: Architecture) -> None:
    network = engines.build(small_net, device="cpu")
    before = network.parameters()
    student = engines.learner(network, optimiser=Optimiser(), losses=LOSSES)
    for step in range(2):
        student.step(*make_batch(step))
    assert same_bytes(network.parameters(), before)
    assert not same_bytes(student.network.parameters(), before)


def test_the_learners_network_is_the_live_one_in_evaluation_mode(small_net: Architecture) -> None:
    student = make_learner(small_net)
    network, images = student.network, make_batch(0)[0]
    before = network.logits(images)["class"]
    teach(student, range(1))
    after = network.logits(images)["class"]
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(network.logits(images)["class"], after)  # nothing dropped
    assert not any(module.training for module in student.network.module.modules())


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=described)
def test_a_network_looked_into_between_steps_has_its_weights_of_now(
    small_net: Architecture, optimiser: Optimiser
) -> None:
    student = make_learner(small_net, optimiser, precision="float32")
    images = make_batch(0)[0].astype("float32")

    def explained(network: Network) -> Array:
        neurons = [Neuron("conv1", row, 3, channel) for row in (0, 4) for channel in range(6)]
        with network.trace(images, layers=["conv1"]) as trace:
            return trace.gradient(neurons)

    before = explained(student.network)
    teach(student, range(2))
    found = explained(student.network)
    assert not np.array_equal(found, before)
    fresh = engines.build(small_net, parameters=student.network.parameters(), device="cpu")
    np.testing.assert_array_equal(found, explained(fresh))


def test_rates_multiply_the_learning_rate(small_net: Architecture) -> None:
    moves = []
    for rates in ({}, {"": 0.5, "conv1": 0.25}):
        student = make_learner(small_net, Optimiser(kind="sgd"), rates=rates)
        before = student.network.parameters()
        student.step(*make_batch(0))
        moves.append({n: a - before[n] for n, a in student.network.parameters().items()})
    np.testing.assert_allclose(moves[1]["conv1.weight"], moves[0]["conv1.weight"] / 4)
    np.testing.assert_allclose(moves[1]["odd1.weight"], moves[0]["odd1.weight"] / 2)


def test_a_rate_of_0_leaves_the_weights_and_counts_the_step(small_net: Architecture) -> None:
    student = make_learner(small_net, Optimiser(kind="sgd"))
    before = student.network.parameters()
    student.step(*make_batch(0), rate=0.0)
    after = student.network.parameters()
    assert all(np.array_equal(before[n], after[n]) for n in before if "running" not in n)
    assert student.state()["step"] == 1


def test_losses_are_drained_once(small_net: Architecture) -> None:
    student = make_learner(small_net)
    assert student.drain_losses().shape == (0,)
    teach(student, range(3))
    assert student.drain_losses().shape == (3,)
    assert student.drain_losses().shape == (0,)


def test_a_loss_that_is_no_number_is_reported_as_it_is(small_net: Architecture) -> None:
    student = make_learner(small_net, Optimiser(kind="sgd", learning_rate=1e300))
    teach(student, range(3))
    losses = student.drain_losses()
    assert np.isfinite(losses[0])
    assert not np.isfinite(losses[2])


def test_a_batch_without_known_labels_teaches_nothing(small_net: Architecture) -> None:
    student = make_learner(small_net, Optimiser(kind="sgd"))
    before = student.network.parameters()
    images, _ = make_batch(0)
    student.step(images, {"class": np.full(6, -1), "odd": np.full(6, -1)})
    after = student.network.parameters()
    assert student.drain_losses().tolist() == [0.0]
    assert all(np.array_equal(before[n], after[n]) for n in before if "running" not in n)


def test_an_interrupted_step_leaves_no_gradient_behind(small_net: Architecture) -> None:
    student, other = (make_learner(small_net, Optimiser(kind="sgd")) for _ in range(2))
    weight = student.network.module.named["conv2"].weight
    assert isinstance(weight, Tensor)
    handle = student.network.module.named["conv1"].register_forward_hook(_interrupt)
    with pytest.raises(KeyboardInterrupt):
        student.step(*make_batch(0))
    handle.remove()
    weight.grad = torch.ones_like(weight)  # as after half a way back
    assert not any(module.training for module in student.network.module.modules())
    for one in (student, other):
        one.step(*make_batch(0))
    assert same_bytes(student.state(), other.state())


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_bfloat16_computes_coarsely_and_keeps_float32(small_net: Architecture) -> None:
    coarse = make_learner(small_net, Optimiser(kind="sgd"), precision="bfloat16")
    fine = make_learner(small_net, Optimiser(kind="sgd"), precision="float32")
    for student in (coarse, fine):
        student.step(*make_batch(0))
    rough, exact = coarse.drain_losses(), fine.drain_losses()
    np.testing.assert_allclose(rough, exact, rtol=0.05)
    assert rough[0] != exact[0]
    assert {a.dtype.name for a in coarse.network.parameters().values()} == {"float32"}
    assert coarse.network.logits(make_batch(0)[0])["class"].dtype == np.float32


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"rates": {"": 0.0}}, SettingsError, "at least one parameter that learns"),
        ({"rates": {"conv7": 0.0}}, UnknownNameError, "there is no layer 'conv7': did you mean"),
        ({"rates": {"conv1": -1.0}}, SettingsError, "rate of 'conv1' must be at least 0"),
        ({"losses": [HeadLoss(head="clas")]}, UnknownNameError, "did you mean 'class'?"),
        (
            {"losses": [HeadLoss(head="odd", class_weights=(1.0,))]},
            SettingsError,
            "head 'odd': class_weights must be one per class (2), got 1",
        ),
    ],
)
def test_a_learner_that_cannot_be_is_one_sentence(
    small_net: Architecture, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        make_learner(small_net, **options)
    assert message in str(caught.value)


def test_a_network_of_another_engine_is_refused() -> None:
    class Other:
        engine = "numpy"

    other: Any = Other()
    with pytest.raises(SettingsError, match="needs a network of its engine, got 'numpy'"):
        learner(other, optimiser=Optimiser(), losses=LOSSES, rates={}, seed=0)


def test_batch_norm_cannot_learn_from_one_value() -> None:
    head = Head(layers=(GlobalAvgPool("mean"), BatchNorm("norm"), Dropout("drop"), Dense("d", 2)))
    architecture = Architecture(
        name="t", input_shape=(1, 4, 4), layers=(Conv2d("conv", 2),), heads=(head,)
    )
    student = make_learner(architecture, losses=[HeadLoss(head="class")])
    message = r"layer 'norm': batch norm learns from more than one value per channel, got a batch "
    with pytest.raises(ShapeError, match=message):
        student.step(np.zeros((1, 1, 4, 4)), {"class": np.array([1])})
    student.step(np.zeros((2, 1, 4, 4)), {"class": np.array([1, 0])})


def test_a_learner_keeps_the_protocol(small_net: Architecture) -> None:
    student = make_learner(small_net)
    network: Network = student.network
    assert isinstance(network, TorchNetwork)
    assert (student.rank, student.world_size, network.engine) == (0, 1, "torch")

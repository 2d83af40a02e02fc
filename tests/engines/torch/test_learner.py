"""Learning against a training loop written out with torch.nn.functional and torch.optim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Dropout, GlobalAvgPool
from convoscope.arrays import Array
from convoscope.engines.torch.adopt import adopt
from convoscope.engines.torch.learner import TorchLearner, learner
from convoscope.engines.torch.network import TorchNetwork
from convoscope.engines.weights import dropout_mask
from convoscope.errors import SettingsError, ShapeError, UnknownNameError, WeightsError
from convoscope.network import HeadLoss, Network, Optimiser, Precision

LOSSES = (HeadLoss(head="class"), HeadLoss(head="odd", weight=0.5))
OPTIMISERS = [
    Optimiser(kind="sgd", learning_rate=0.1),
    Optimiser(kind="sgd", learning_rate=0.05, momentum=0.9, weight_decay=0.1),
    Optimiser(kind="sgd", learning_rate=0.05, momentum=0.9, nesterov=True),
    Optimiser(kind="adam", learning_rate=0.01, weight_decay=0.1, beta1=0.8, eps=1e-6),
    Optimiser(kind="adamw", learning_rate=0.01, weight_decay=0.1, beta2=0.99),
]


def described(optimiser: Optimiser) -> str:
    return f"{optimiser.kind}-{optimiser.momentum}-{optimiser.nesterov}"


def make_batch(step: int, images: int = 6) -> tuple[Array, dict[str, Array]]:
    rng = np.random.default_rng(step)
    pixels = rng.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8).transpose(0, 3, 1, 2)
    labels = {"class": rng.integers(0, 4, images), "odd": rng.integers(0, 2, images)}
    return pixels, labels


def make_learner(
    architecture: Architecture,
    optimiser: Optimiser | None = None,
    *,
    losses: Sequence[HeadLoss] = LOSSES,
    rates: Mapping[str, float] | None = None,
    seed: int = 7,
    precision: Precision = "float64",
) -> TorchLearner:
    network = engines.build(architecture, seed=3, device="cpu", precision=precision)
    return learner(
        network,
        optimiser=optimiser or Optimiser(),
        losses=losses,
        rates=rates or {},
        seed=seed,
    )


def teach(student: TorchLearner, steps: range) -> None:
    for step in steps:
        student.step(*make_batch(step), rate=1 / (1 + step))


def same_bytes(a: Mapping[str, Array], b: Mapping[str, Array]) -> bool:
    return a.keys() == b.keys() and all(
        a[key].dtype == b[key].dtype and a[key].tobytes() == b[key].tobytes() for key in a
    )


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

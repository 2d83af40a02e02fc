"""The optimisers: bit for bit the steps of PyTorch's own classes, its compiler never loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from convoscope.arrays import generator
from convoscope.engines.torch.optimisers import Stepper
from convoscope.network import Optimiser

DECAYED, UNDECAYED = "conv.weight", "conv.bias"
SHAPES = {DECAYED: (4, 3, 3, 3), UNDECAYED: (4,)}


def parameters() -> dict[str, nn.Parameter]:
    rng = generator(0, "parameters")
    made = {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}
    return {name: nn.Parameter(torch.from_numpy(values)) for name, values in made.items()}


def gradient(step: int, name: str) -> Tensor:
    rng = generator(step, "gradient", name)
    return torch.from_numpy(rng.normal(size=SHAPES[name]).astype("float32"))


def theirs(settings: Optimiser, tensors: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    groups = [
        {"params": [tensors[DECAYED]], "weight_decay": settings.weight_decay},
        {"params": [tensors[UNDECAYED]], "weight_decay": 0.0},
    ]
    rate = settings.learning_rate
    if settings.kind == "sgd":
        momentum, nesterov = settings.momentum, settings.nesterov
        return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=True)
    kind = torch.optim.Adam if settings.kind == "adam" else torch.optim.AdamW
    return kind(groups, lr=rate, fused=True)


@pytest.mark.parametrize(
    "settings",
    [
        Optimiser(kind="sgd", learning_rate=0.1),
        Optimiser(kind="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.01),
        Optimiser(kind="sgd", learning_rate=0.1, momentum=0.9, nesterov=True),
        Optimiser(kind="adam", learning_rate=0.1),
        Optimiser(kind="adam", learning_rate=0.1, weight_decay=0.01),
        Optimiser(kind="adamw", learning_rate=0.1, weight_decay=0.01),
    ],
    ids=lambda settings: f"{settings.kind}-{settings.momentum}-{settings.weight_decay}",
)
def test_steps_are_those_of_pytorch_to_the_last_bit(settings: Optimiser) -> None:
    our, their = parameters(), parameters()
    stepper = Stepper(settings, our, dict.fromkeys(SHAPES, 1.0), {UNDECAYED})
    optimiser = theirs(settings, their)
    for step in range(4):
        for name in SHAPES:
            our[name].grad, their[name].grad = gradient(step, name), gradient(step, name)
        stepper.step(1.0)
        optimiser.step()
    for name in SHAPES:
        assert torch.equal(our[name], their[name])
        assert our[name].grad is None


def test_what_got_no_gradient_stays_and_its_own_steps_are_counted() -> None:
    settings = Optimiser(kind="adam", learning_rate=0.1)
    our, their = parameters(), parameters()
    stepper = Stepper(settings, our, dict.fromkeys(SHAPES, 1.0), ())
    optimiser = torch.optim.Adam(their.values(), lr=0.1, fused=True)
    for step in range(3):
        names = [DECAYED] if step == 0 else [*SHAPES]
        for name in names:
            our[name].grad, their[name].grad = gradient(step, name), gradient(step, name)
        stepper.step(1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step == 0:
            assert torch.equal(our[UNDECAYED], parameters()[UNDECAYED])
    for name in SHAPES:
        assert torch.equal(our[name], their[name])


def test_a_rate_of_its_own_multiplies_the_step() -> None:
    our = parameters()
    before = {name: tensor.detach().clone() for name, tensor in our.items()}
    settings = Optimiser(kind="sgd", learning_rate=0.5)
    stepper = Stepper(settings, our, {DECAYED: 0.1, UNDECAYED: 1.0}, ())
    for name in SHAPES:
        our[name].grad = gradient(0, name)
    stepper.step(0.5)
    for name, multiplier in ((DECAYED, 0.1), (UNDECAYED, 1.0)):
        moved = before[name] - 0.25 * multiplier * gradient(0, name)
        torch.testing.assert_close(our[name].detach(), moved)


def test_learning_does_not_load_the_compiler() -> None:
    program = """
import sys
import numpy as np
from convoscope import engines
from convoscope.architecture.zoo import make
from convoscope.network import HeadLoss, Optimiser
network = engines.build(make("given-net"), device="cpu")
learner = engines.learner(network, optimiser=Optimiser(), losses=[HeadLoss(head="class")])
learner.step(np.zeros((2, 1, 28, 28), np.float32), {"class": np.zeros(2, np.int64)})
assert np.isfinite(learner.drain_losses()).all()
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"

"""Guided backpropagation: right wherever a ReLU can occur, where other tools are wrong.

The reference is a network in which every ReLU is a function whose derivative is written out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop
from tests.explain.conftest import BRANCHES, CHAIN, SMOOTH, Build
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import Activation
from convoscope.arrays import Array
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.errors import ExplainError
from convoscope.explain.gradients import gradient, gradient_picture
from convoscope.explain.guided_backprop import guided_backprop
from convoscope.explain.neurons import strongest
from convoscope.network import Channel, ClassLogit, Engine, Network, Neuron, Target


class Guided(torch.autograd.Function):
    """``min(max(x, 0), top)`` whose way back is Springenberg's, written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, top: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.top = top
        return x.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * (x > 0) * (x < ctx.top) * (grads[0] > 0), None


class Rectify(nn.Module):
    def __init__(self, top: float = float("inf")) -> None:
        super().__init__()
        self.top = top

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = Guided.apply(x, self.top)  # type: ignore[no-untyped-call]
        return y


SPELLINGS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "module": nn.ReLU,
    "module in place": lambda: nn.ReLU(inplace=True),
    "function": lambda: functional.relu,
    "function in place": lambda: lambda x: functional.relu(x, inplace=True),
    "method": lambda: lambda x: x.relu(),
    "clamp": lambda: lambda x: x.clamp(min=0),
}
SPELLINGS_OF_6: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "module": nn.ReLU6,
    "module in place": lambda: nn.ReLU6(inplace=True),
    "function": lambda: functional.relu6,
    "hardtanh": lambda: lambda x: functional.hardtanh(x, 0.0, 6.0),
}


class Plain(nn.Module):
    """A chain, each ReLU its own."""

    def __init__(self, make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.body = nn.ModuleList([nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Conv2d(6, 4, 3)])
        self.relus = [make() for _ in self.body]

    def forward(self, x: Tensor) -> Tensor:
        for layer, relu in zip(self.body, self.relus, strict=True):
            x = relu(layer(x))
        return x.mean((2, 3))


class Reused(Plain):
    """One ReLU object for all."""

    def __init__(self, make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
        super().__init__(make)
        self.relus = [self.relus[0]] * 3


class PostActivation(nn.Module):
    """ResNet's block: a ReLU after the sum, its output on both ways."""

    def __init__(self, make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 5, 3, padding=1)
        self.relus = [make(), make(), make()]

    def forward(self, x: Tensor) -> Tensor:
        x = self.relus[0](self.stem(x))
        y = self.relus[1](self.body(x))
        return self.relus[2](y - x).mean((2, 3))


class PreActivation(nn.Module):
    """Xception's block: what enters the ReLU also goes past it, with another weight."""

    def __init__(self, make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 5, 3, padding=1)
        self.relus = [make(), make()]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.body(self.relus[0](x.clone())) - 3 * x
        return self.relus[1](y).mean((2, 3))


@pytest.mark.parametrize("shape", [Plain, Reused, PostActivation, PreActivation])
@pytest.mark.parametrize(
    ("make", "top"),
    [
        *((make, float("inf")) for make in SPELLINGS.values()),
        *((make, 6.0) for make in SPELLINGS_OF_6.values()),
    ],
    ids=[*SPELLINGS, *(f"6 {name}" for name in SPELLINGS_OF_6)],
)
def test_every_cell_of_the_table_is_right(
    shape: type[Plain], make: Callable[[], Callable[[Tensor], Tensor]], top: float, images: Array
) -> None:
    torch.manual_seed(3)
    reference = shape(lambda: Rectify(top)).double()
    for parameter in reference.parameters():
        parameter.data *= 4  # so that 6 is passed, too
    module = shape(make).double()
    module.load_state_dict(reference.state_dict())
    x = torch.from_numpy(images).requires_grad_()
    logits = reference(x)
    (expected,) = torch.autograd.grad(logits[:, 1].sum(), x)

    network = adopt(module, input_shape=images.shape[1:], device="cpu", precision="float64")
    np.testing.assert_allclose(network.logits(images)["class"], logits.detach().numpy(), rtol=1e-10)
    (found,) = guided_backprop(network, images, [ClassLogit("class", 1)])
    assert expected.any()
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-14)


def test_the_smallest_trap() -> None:
    """``y = relu(h) - 3 h`` at 2: through the ReLU 1, past it -3."""

    class Trap(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Linear(1, 1, bias=False)
            self.scale.weight.data.fill_(1)

        def forward(self, x: Tensor) -> Tensor:
            h: Tensor = self.scale(x.flatten(1))
            return functional.relu(h) - 3 * h

    network = adopt(Trap(), input_shape=(1, 1, 1), device="cpu")
    found = guided_backprop(network, np.full((1, 1, 1, 1), 2.0), [ClassLogit("class", 0)])
    assert found.item() == -2.0


def test_it_is_captums_where_captum_is_right(images: Array) -> None:
    torch.manual_seed(1)
    module = Plain(nn.ReLU).double()
    module.relus = nn.ModuleList(module.relus)  # type: ignore[assignment,arg-type]
    network = adopt(module, input_shape=images.shape[1:], device="cpu", precision="float64")
    found = guided_backprop(network, images, [ClassLogit("class", (0, 1, 2))])[0]
    x = torch.from_numpy(images).requires_grad_()
    with pytest.warns(UserWarning, match="backward hooks"):
        expected = GuidedBackprop(copy.deepcopy(module)).attribute(x, torch.tensor([0, 1, 2]))
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-15)


TARGETS: dict[str, list[Target]] = {
    "chain": [
        ClassLogit("class", (3, 0, 1)),
        ClassLogit("odd", 1),
        Channel("conv2", 2),
        *(Neuron("conv2", (0, 2, 5), (5, 3, 0), channel) for channel in range(8)),
    ],
    "branches": [
        ClassLogit("class", 2),
        Channel("inner", 1),
        *(Neuron("last", 3, 3, channel) for channel in range(8)),
    ],
}


@pytest.mark.parametrize("architecture", [CHAIN, BRANCHES], ids=lambda a: a.name)
def test_both_engines_agree(architecture: Architecture, build: Build, images: Array) -> None:
    targets = TARGETS[architecture.name]
    fast, slow = (guided_backprop(build(architecture, e), images, targets) for e in ENGINES)
    assert fast.shape == (len(targets), *images.shape)
    assert fast.any(axis=(1, 2, 3, 4)).mean() > 0.6  # the others are silent neurons
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)
    plain = gradient(build(architecture), images, targets)
    assert not np.allclose(fast, plain)


ENGINES: tuple[Engine, ...] = ("torch", "numpy")


def test_a_silent_neuron_is_black_and_a_loud_one_is_not(
    build: Build, engine: Engine, images: Array
) -> None:
    network = build(CHAIN, engine)
    with network.trace(images[:1], layers=["conv2"], wrt=()) as trace:
        maps = trace.activations["conv2"][0]
    channel, row, column = (int(i) for i in np.argwhere(maps == 0)[0])
    loud = strongest("conv2", maps, 1)[0]
    silent = Neuron("conv2", row, column, channel)
    black, seen = guided_backprop(network, images[:1], [silent, loud.neuron])[:, 0]
    assert not gradient_picture(black).any()
    assert gradient_picture(seen).max() == 255


def test_it_lies_within_the_neurons_patch(build: Build, engine: Engine, images: Array) -> None:
    network = build(CHAIN, engine)
    with network.trace(images, layers=["conv2"], wrt=()) as trace:
        loud = strongest("conv2", trace.activations["conv2"][0], 1)[0]
    (found,) = guided_backprop(network, images, [loud.neuron])
    box = network.patch("conv2", loud.row, loud.column)
    assert found[0].any()
    found[:, :, box.top : box.bottom, box.left : box.right] = 0
    assert not found.any()


def test_a_network_without_a_relu_says_so(build: Build, engine: Engine, images: Array) -> None:
    with pytest.raises(ExplainError) as caught:
        guided_backprop(build(SMOOTH, engine), images, [ClassLogit("class", 0)])
    assert str(caught.value) == (
        "network 'smooth': guided backpropagation acts at ReLUs, and this network has none on the "
        "way to the target: use the method gradient"
    )
    relu6: Network = build(
        Architecture(name="six", input_shape=(3, 13, 12), layers=(Activation("a", "relu6"),)),
        engine,
    )
    assert guided_backprop(relu6, images, [Channel("a", 0)]).any()

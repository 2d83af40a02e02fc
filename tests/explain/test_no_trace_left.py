"""Looking leaves nothing behind: not in the network, not in memory."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.explain.conftest import BRANCHES, CHAIN, Build
from torch import Tensor, nn

from convoscope.arrays import Array
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.network import TorchNetwork
from convoscope.errors import ConvoscopeError
from convoscope.explain import (
    explain,
    feature_maps,
    filters,
    grad_cam,
    guided_backprop,
    patch,
    target_layer,
)
from convoscope.explain.methods import usable
from convoscope.network import Channel, ClassLogit, Engine, Network, Neuron, Target

ONE_PASS = ("grad-cam", "guided-backprop", "guided-grad-cam", "gradient", "input-x-gradient")


class Foreign(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.body, self.fc = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)
        self.body.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.stem(x)))
        x = x + self.relu(self.body(x))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def ask_everything(network: Network, images: Array) -> None:
    layer = target_layer(network)
    targets: list[Target] = [ClassLogit("class", 1), Channel(layer, 0), Neuron(layer, 1, 1, 1)]
    for method in usable(network):
        explain(network, images, method, targets[: 3 if method == "guided-backprop" else 1])
    first = network.layer_names[0]
    grad_cam(network, images, targets, [first])
    feature_maps(network, images)
    filters(network, first)
    patch(network, layer, 0, 0)
    for wrong in (ClassLogit("class", 99), Neuron(layer, 99, 0, 0), Channel("nothing", 0)):
        with pytest.raises(ConvoscopeError):
            guided_backprop(network, images, [wrong])
    with pytest.raises(ZeroDivisionError), network.trace(images, layers=[layer], wrt=[layer]):
        raise ZeroDivisionError


def photograph(network: Network) -> dict[str, Any]:
    """All that looking must not change: of modules, whatever they hold."""
    seen: dict[str, Any] = {
        "parameters": {name: array.tobytes() for name, array in network.parameters().items()},
        "random": torch.get_rng_state().numpy().tobytes(),
        "numpy": np.random.get_state()[1].tobytes(),  # type: ignore[index]  # noqa: NPY002
        "gradients": torch.is_grad_enabled(),
        "functions": torch._C._len_torch_function_stack(),
    }
    if isinstance(network, TorchNetwork):
        module = network.module
        seen["modules"] = {
            name: (id(m), type(m), m.training, sorted(m.__dict__), _hooks(m))
            for name, m in module.named_modules()
        }
        seen["learns"] = {name: p.requires_grad for name, p in module.named_parameters()}
        seen["grads"] = {name: p.grad for name, p in module.named_parameters()}
        seen["buffers"] = {n: b.numpy().tobytes() for n, b in module.named_buffers()}
    return seen


def _hooks(module: nn.Module) -> list[int]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [len(getattr(module, kind)) for kind in kinds]


@pytest.mark.parametrize("architecture", [CHAIN, BRANCHES], ids=lambda a: a.name)
def test_a_network_of_ours_is_as_it_was(
    architecture: Any, build: Build, engine: Engine, images: Array
) -> None:
    network, pixels = build(architecture, engine), images.copy()
    before = photograph(network)
    ask_everything(network, images)
    assert photograph(network) == before
    np.testing.assert_array_equal(images, pixels)


def test_an_adopted_network_is_as_it_was_and_so_is_the_callers_module(images: Array) -> None:
    module = Foreign()
    own = {name: t.numpy().tobytes() for name, t in module.state_dict().items()}
    network = adopt(module, input_shape=images.shape[1:], device="cpu")
    before = photograph(network)
    ask_everything(network, images)
    assert photograph(network) == before
    assert {name: t.numpy().tobytes() for name, t in module.state_dict().items()} == own
    assert module.training
    assert [p.requires_grad for p in (module.stem.weight, module.body.weight)] == [True, False]


@pytest.mark.parametrize("kind", ["torch", "numpy", "adopted"])
def test_memory_is_flat(kind: str, build: Build, make_images: Callable[..., Array]) -> None:
    """After a warm-up, 60 images more leave no tensor and next to no memory."""
    if kind == "adopted":
        network: Network = adopt(Foreign(), input_shape=(3, 13, 12), device="cpu")
    else:
        network = build(CHAIN, "torch" if kind == "torch" else "numpy")
    images = make_images(80, 3, 13, 12)

    def look(some: Array) -> None:
        for image in some:
            for method in ONE_PASS:
                explain(network, image[None], method, [ClassLogit("class", 1)])
        gc.collect()

    look(images[:20])
    tensors = sum(issubclass(type(one), Tensor) for one in gc.get_objects())
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    look(images[20:])
    assert sum(issubclass(type(one), Tensor) for one in gc.get_objects()) == tensors
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - highest < 20_000  # KiB

"""A ReLU after the pooling instead of before it: the same numbers, and only unseen."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from convoscope.architecture.files import from_yaml
from convoscope.arrays import generator
from convoscope.engines import build
from convoscope.engines.torch.convnet import ConvNet
from convoscope.engines.torch.modules import Conv
from convoscope.engines.torch.network import TorchNetwork
from convoscope.engines.torch.pooling import MaxPool

NET = """\
input_shape: [3, 11, 13]
layers:
- {kind: conv2d, name: conv1, filters: 6, padding: 1, activation: relu}
- {kind: max_pool2d, name: pool1, kernel_size: 3, stride: 2, padding: POOL}
- {kind: conv2d, name: conv2, filters: 5, activation: relu}
- {kind: conv2d, name: conv3, filters: 5, padding: 1, activation: relu}
- {kind: max_pool2d, name: pool3, kernel_size: 2, ceil_mode: true}
- {kind: flatten}
- {kind: dense, name: logits, units: 4}
"""


def module(pool: str) -> ConvNet:
    network = build(from_yaml(NET.replace("POOL", pool), where="net"), device="cpu")
    assert isinstance(network, TorchNetwork)
    return network.module


def pixels() -> Tensor:
    return torch.from_numpy(generator(0, "pooled").random((7, 3, 11, 13), dtype="float32"))


@pytest.mark.parametrize("pool", ["0", "1", "same"])
def test_logits_and_gradients_are_equal_to_the_last_bit(pool: str) -> None:
    net = module(pool)
    parameters = [p for _, p in net.tensors()]
    found = []
    for is_training in (False, True):  # evaluation with gradients keeps the order written
        net.train(is_training)
        logits = net(pixels())["class"]
        found.append((logits.detach(), torch.autograd.grad(logits.square().sum(), parameters)))
    (written, their_grads), (moved, our_grads) = found
    assert torch.equal(written, moved)
    for ours, theirs in zip(our_grads, their_grads, strict=True):
        assert torch.equal(ours, theirs)


def test_who_watches_sees_maps_after_their_activation() -> None:
    net = module("0").train()
    seen: dict[str, Tensor] = {}
    for name in ("conv1", "pool3"):
        net.named[name].register_forward_hook(
            lambda _, __, output, name=name: seen.__setitem__(name, output.detach())
        )
    net(pixels())
    assert seen["conv1"].min() == 0
    assert seen["conv1"].shape == (7, 6, 11, 13)
    assert seen["pool3"].min() >= 0


def test_the_pooling_is_really_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    net = module("0").train()
    moved: list[Conv] = []
    plain = Conv.pooled

    def pooled(conv: Conv, x: Tensor, pool: MaxPool) -> Tensor:
        moved.append(conv)
        return plain(conv, x, pool)

    monkeypatch.setattr(Conv, "pooled", pooled)
    net(pixels())
    assert moved == [net.named["conv1"], net.named["conv3"]]

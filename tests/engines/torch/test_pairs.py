"""A convolution two outputs at a time: PyTorch's own, in what comes out and in every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from convoscope.architecture.zoo import make
from convoscope.arrays import generator
from convoscope.engines import build
from convoscope.engines.torch import modules
from convoscope.engines.torch.network import TorchNetwork
from convoscope.engines.torch.pairs import conv2d_in_pairs, pairs_pay

# images (H, W), filters, kernel, stride, padding
SHAPES = [
    ((19, 24), 8, 11, 4, 0),
    ((32, 40), 5, 11, 4, 4),
    ((9, 8), 4, 3, 1, 1),
    ((12, 10), 6, 5, 1, 0),
    ((14, 16), 3, 6, 2, 2),
]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    values = generator(0, "pairs", *shape).normal(size=shape)
    tensor = torch.from_numpy(values).to(dtype)
    return tensor.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else tensor


@pytest.mark.parametrize(("size", "filters", "kernel", "stride", "padding"), SHAPES)
@pytest.mark.parametrize("has_bias", [True, False])
def test_output_and_gradients_are_those_of_the_plain_convolution(
    size: tuple[int, int], filters: int, kernel: int, stride: int, padding: int, has_bias: bool
) -> None:
    x = random(2, 3, *size).requires_grad_()
    weight = random(filters, 3, kernel, kernel).requires_grad_()
    bias = random(filters).requires_grad_() if has_bias else None
    wanted = functional.conv2d(x, weight, bias, stride, padding)
    assert wanted.shape[3] % 2 == 0
    found = conv2d_in_pairs(x, weight, bias, stride, padding)
    torch.testing.assert_close(found, wanted)
    assert found.is_contiguous(memory_format=torch.channels_last)
    learnt = [tensor for tensor in (x, weight, bias) if tensor is not None]
    pull = random(*wanted.shape)
    ours = torch.autograd.grad(found, learnt, pull)
    for our, their in zip(ours, torch.autograd.grad(wanted, learnt, pull), strict=True):
        torch.testing.assert_close(our, their)


@pytest.mark.parametrize(
    ("shape", "weight", "stride", "padding"),
    [
        ((2, 3, 224, 224), (16, 3, 11, 11), 4, 0),  # the vectors are full
        ((2, 1, 28, 28), (8, 1, 3, 3), 1, 1),  # gray
        ((2, 3, 31, 31), (8, 3, 3, 3), 1, 1),  # an odd number of outputs
        ((2, 3, 226, 226), (8, 3, 11, 11), 4, 0),  # a row is no whole number of strides
        ((2, 3, 32, 32), (8, 3, 4, 4), 4, 0),  # windows that do not overlap: nothing is saved
        ((2, 3, 48, 48), (8, 3, 17, 17), 1, 8),  # wider than what is fast
    ],
)
def test_a_convolution_that_would_not_gain_is_left_as_it_is(
    shape: tuple[int, ...], weight: tuple[int, ...], stride: int, padding: int
) -> None:
    x, filters = random(*shape, dtype=torch.float32), random(*weight, dtype=torch.float32)
    assert not pairs_pay(x, filters, stride, padding)


def is_fast_here() -> bool:
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and bool(
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


@pytest.mark.skipif(not is_fast_here(), reason="no AVX-512 with oneDNN on this machine")
def test_the_first_layer_of_architecture_1_gains() -> None:
    x = random(2, 3, 224, 224, dtype=torch.float32)
    weight = random(8, 3, 11, 11, dtype=torch.float32)
    assert pairs_pay(x, weight, 4, 0)
    assert not pairs_pay(x.double(), weight.double(), 4, 0)
    assert not pairs_pay(x.contiguous(), weight, 4, 0)


def test_only_a_network_that_learns_computes_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(make("architecture-1"), device="cpu")
    assert isinstance(network, TorchNetwork)
    asked: list[tuple[int, ...]] = []

    def asks(x: Tensor, *_: object) -> bool:
        asked.append(tuple(x.shape))
        return False

    monkeypatch.setattr(modules, "pairs_pay", asks)
    images = random(1, 3, 224, 224, dtype=torch.float32)
    network.module(images)
    assert not asked
    network.module.train()(images)
    assert asked[0] == (1, 3, 224, 224)

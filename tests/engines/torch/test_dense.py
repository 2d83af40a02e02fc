"""Dense layers by oneDNN: the same numbers as PyTorch's own product."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from convoscope.engines.torch import dense

has_product = dense._has_product()
needs_product = pytest.mark.skipif(not has_product, reason="needs oneDNN on AVX-512")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("images", [1, 2, 50, 64])
@pytest.mark.parametrize("has_bias", [True, False])
def test_values_and_gradients_are_those_of_float64(images: int, *, has_bias: bool) -> None:
    x, weight, grad = drawn(images, 33), drawn(17, 33, seed=1), drawn(images, 17, seed=2)
    bias = drawn(17, seed=3) if has_bias else None
    given = [t.requires_grad_() for t in (x, weight, *([] if bias is None else [bias]))]
    y = dense.linear(x, weight, bias)
    ours = torch.autograd.grad(y, given, grad)
    exact = [t.detach().double().requires_grad_() for t in given]
    reference = functional.linear(*exact)
    theirs = torch.autograd.grad(reference, exact, grad.double())
    for one, other in zip((y, *ours), (reference, *theirs), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@needs_product
def test_the_same_inputs_give_the_same_bytes() -> None:
    x, weight = drawn(64, 500), drawn(100, 500, seed=1).requires_grad_()
    found = []
    for _ in range(3):
        y = dense.linear(x, weight, None)
        (grad,) = torch.autograd.grad(y.sum(), weight)
        found.append((y.detach(), grad))
    assert all(torch.equal(y, found[0][0]) and torch.equal(g, found[0][1]) for y, g in found)


def test_what_is_frozen_gets_no_gradient() -> None:
    x, weight, bias = drawn(4, 5), drawn(3, 5), drawn(3).requires_grad_()
    y = dense.linear(x, weight, bias)
    (grad,) = torch.autograd.grad(y.sum(), bias)
    assert torch.equal(grad, torch.full((3,), 4.0))


def test_other_precisions_are_left_to_pytorch() -> None:
    x, weight = drawn(4, 5).double(), drawn(3, 5).double()
    assert torch.equal(dense.linear(x, weight, None), functional.linear(x, weight))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert dense.linear(x.float(), weight.float(), None).dtype == torch.bfloat16

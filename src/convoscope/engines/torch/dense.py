"""The matrix products of dense layers, by whichever library of PyTorch's is the faster one.

PyTorch multiplies matrices with MKL, and computes convolutions with oneDNN. On processors with
AVX-512 that are not Intel's, MKL keeps to half of the vectors' width: oneDNN then takes less than
half the time (AMD EPYC, one thread, 64 x 3872 by 3872 x 1024: 2.4 ms instead of 5.4). On Intel's
they are alike. oneDNN's product is an operator that PyTorch's own compiler uses; where it is not
to be had, everything is as PyTorch does it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from convoscope.engines.torch.onednn import has_operators, product


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x weight' + bias``: (N, K), (units, K) and (units,) to (N, units)."""
    is_plain = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu" and len(x) > 1
    if is_plain and _has_product() and not torch.is_autocast_enabled("cpu"):
        y: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return y
    return functional.linear(x, weight, bias)


class _Linear(torch.autograd.Function):
    """``x weight' + bias`` and its derivatives, all three products by oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (grad,), (x, weight) = grads, ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            product(grad, weight.t()) if of_x else None,
            product(grad.t(), x.t()) if of_weight else None,
            grad.sum(dim=0) if of_bias else None,
        )


@cache
def _has_product() -> bool:
    """Whether oneDNN multiplies here, on vectors that MKL might not use in full."""
    return (
        has_operators("_linear_pointwise") and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )

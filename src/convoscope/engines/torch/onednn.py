"""oneDNN's own operators, those that PyTorch's compiler uses, where this PyTorch has them."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


@cache
def has_operators(*names: str) -> bool:
    """Whether all of these are to be had."""
    return torch.backends.mkldnn.is_available() and all(  # type: ignore[no-untyped-call]
        hasattr(torch.ops.mkldnn, name) for name in names
    )


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """``a b' + bias``: (N, K), (M, K) and (M,) to (N, M), on the whole of a processor's vectors."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")
    return found

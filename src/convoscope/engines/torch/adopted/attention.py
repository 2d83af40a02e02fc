"""What a transformer's tokens attend to, read from the calls that compute it.

While :class:`AttentionSeen` is active, every attention that PyTorch computes is noted, whether by
its fused function, which never makes the weights known, or as a softmax over tokens by hand. As
with ReLUs, the watch stands at the function and not at a module: every library's attention
module is another, and all of them come to these functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_SOFTMAX = (torch.softmax, torch.Tensor.softmax, functional.softmax)


@final
class AttentionSeen(TorchFunctionMode):
    """A context that notes the weights of every attention, (B, heads, T, T') each, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is functional.scaled_dot_product_attention:
            self.weights.append(fused_weights(*args, **(kwargs or {})))
        elif func in _SOFTMAX and _is_attention(result):
            self.weights.append(result)
        return result


def fused_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The weights that ``scaled_dot_product_attention`` gives its values; its own arguments.

    Source: PyTorch's documentation of that function, which states it as code.
    """
    del value, dropout_p  # an evaluation drops nothing
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    if attn_mask is not None:
        is_choice = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if is_choice else scores + attn_mask
    return scores.softmax(dim=-1)


def _is_attention(weights: Any) -> bool:
    return isinstance(weights, Tensor) and weights.ndim == 4 and weights.shape[2] > 1

"""Attention rollout: which patches of the image a transformer's answer has its information from.

Every layer mixes tokens as its attention says, and passes each on as it was beside that; the
matrices multiplied tell how much of every patch is in the token that the answer is read from. It
follows information, not evidence: the heat is the same for every class.

Source: Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928, section 3 and equation 1, with
heads averaged as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convoscope.arrays import FloatArray, generator
from convoscope.errors import ExplainError
from convoscope.explain.layers import map_layers, target_layer
from convoscope.explain.views import View
from convoscope.network import ClassLogit, Network, Target


def attention_rollout(view: View, targets: Sequence[Target]) -> FloatArray:
    """The heat (T, N, h, w), one cell a patch, the same for all T targets; it adds up to at most 1.

    Raises:
        ExplainError: if the network does not attend from all tokens to all tokens.
    """
    attention = _whole(view.network, view.network.attention(view.images), len(view.images))
    height, width = _grid(view.network)
    flow = rollout(attention)  # (N, T, T)
    patches = height * width
    prefix = flow.shape[1] - patches
    if prefix and not _reads_patches(view.network, (height, width)):
        seen = flow[:, 0, prefix:]
    else:
        seen = flow[:, prefix:, prefix:].mean(axis=1)
    heat = seen.reshape(len(seen), height, width)
    return np.repeat(heat[None], len(targets), axis=0)


def rollout(attention: Sequence[FloatArray]) -> FloatArray:
    """How much of each token (last axis) is in each token at the end, (N, T, T); rows add up to 1.

    ``attention`` is (N, heads, T, T) for each layer.
    """
    own = np.eye(attention[0].shape[-1], dtype=attention[0].dtype)
    flow = np.broadcast_to(own, (len(attention[0]), *own.shape))
    for weights in attention:
        flow = (0.5 * weights.mean(axis=1) + 0.5 * own) @ flow
    return np.asarray(flow)


def check_attention(network: Network) -> None:
    """Nothing, if the network attends from all tokens to all tokens.

    Raises:
        ExplainError: if it does not; says what to use instead.
    """
    blank = np.zeros((1, *network.architecture.input_shape), dtype=np.uint8)
    _whole(network, network.attention(blank), 1)


def _whole(
    network: Network, attention: Sequence[FloatArray], images: int
) -> tuple[FloatArray, ...]:
    """The attentions among all tokens; one that pools them at the end does not mix them.

    Raises:
        ExplainError: if there is none, or some are among windows or downscaled tokens.
    """
    mixing = tuple(w for w in attention if w.shape[2] == w.shape[3])
    tokens = {w.shape[2] for w in mixing}
    is_whole = len(tokens) == 1 and all(len(w) == images for w in mixing)
    maps = map_layers(network)
    if is_whole and maps and _grid_fits(network, tokens.pop()):
        return mixing
    what = "attends in windows or among fewer tokens" if mixing else "has no attention"
    raise ExplainError(
        f"network {network.architecture.name!r}: attention rollout needs layers that attend from "
        f"all tokens to all tokens, and this one {what}: use grad-cam"
    )


def _grid_fits(network: Network, tokens: int) -> bool:
    """Whether the maps are the tokens, but for a few without a place."""
    return 0 <= tokens - math.prod(_grid(network)) <= _MOST_PREFIX


_MOST_PREFIX = 16


def _grid(network: Network) -> tuple[int, int]:
    _, height, width = network.layer_shapes[target_layer(network)]
    return height, width


def _reads_patches(network: Network, grid: tuple[int, int]) -> bool:
    """Whether the answer is read from the patches' last outputs, and not from a class token."""
    shapes = network.layer_shapes
    last = [name for name in map_layers(network) if shapes[name][1:] == grid][-1]
    noise = generator(0, "class token").random((1, *network.architecture.input_shape), "float32")
    with network.trace(noise, wrt=[last]) as trace:
        pulls = trace.gradient([ClassLogit(network.architecture.heads[0].name, 0)], wrt=last)
    return bool(pulls.any())

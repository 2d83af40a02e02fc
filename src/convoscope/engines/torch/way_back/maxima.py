"""The way back through max pools whose windows lie side by side, prepared once for many gradients.

Every cell of such a pool's input lies in one window at most, so a gradient is spread over the
windows and kept where the maxima are. Where they are does not depend on the gradient: it is found
once for all images, at the price of one map more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from convoscope.engines.torch.pooling import MaxPool
from convoscope.engines.torch.way_back.sliding import format_of


@final
class Maxima:
    """Places of the maxima of maps that are asked for again and again.

    It keeps the maps that it was given, for as long as it lives itself.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[Tensor, Tensor]] = {}

    def among(self, given: Tensor, pool: MaxPool) -> Tensor:
        """1 where a window's first maximum is, else 0, for all images: (N, C, H, W)."""
        if id(given) not in self._places:
            self._places[id(given)] = given, _first_maxima(given.detach(), pool.kernel_size)
        _, places = self._places[id(given)]
        return places


def lie_side_by_side(pool: MaxPool, given: Tensor) -> bool:
    """Whether the windows of a pool neither overlap nor hang over a border of these maps."""
    is_padded = any(pool.padding) or any(pool.extra)
    sides = zip(given.shape[2:], pool.stride, strict=True)
    fits = not pool.ceil_mode or all(side % stride == 0 for side, stride in sides)
    return tuple(pool.kernel_size) == tuple(pool.stride) and not is_padded and fits


def kept_at(places: Tensor, grad: Tensor, kernel: Sequence[int]) -> Tensor:
    """The gradient (1, C, h, w) of windows at their places (1, C, h * kernel, w * kernel)."""
    found = torch.empty_like(places, memory_format=format_of(grad))
    rows, columns = kernel
    for row, column in product(range(rows), range(columns)):
        cells = (..., slice(row, None, rows), slice(column, None, columns))
        torch.ops.aten.threshold_backward.grad_input(
            grad, places[cells], 0, grad_input=found[cells]
        )
    return found


def _first_maxima(given: Tensor, kernel: Sequence[int]) -> Tensor:
    pooled, places = functional.max_pool2d(given, list(kernel), return_indices=True)
    found: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
        torch.ones_like(pooled), given, kernel, kernel, (0, 0), (1, 1), False, places
    )
    return found

"""Convolutions of 3 x 3 with a quarter of the multiplications, by Winograd's minimal filtering.

Four by four neighbouring outputs of a 3 x 3 filter come from six by six inputs. Added and
subtracted in the right way (``B``), the inputs are multiplied with equally prepared filters
(``G``) value by value, 36 products in place of 144, and added up again (``A``); over all channels,
filters and tiles the products are 36 matrix products. The values are those of a plain convolution
but for rounding: in float32 the difference is about 1e-6 of the largest value, at worst 1e-5.

Preparing the filters costs as much as several convolutions: it is worth it where they are used
again. What else it costs goes with the channels, what it saves with their square: it pays where
there are many.

Source: Lavin and Gray 2016, https://arxiv.org/abs/1509.09308, F(4 x 4, 3 x 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from convoscope.engines.torch.cores import on_each_core
from convoscope.engines.torch.onednn import product

TILE = 4  # outputs of a tile along each side
_GIVEN = 6  # inputs of a tile along each side
_TILES_AT_ONCE = 256  # more would not stay in the processor's cache

B = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
"""From the inputs of a tile along one side to what is multiplied."""

G = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
"""From a filter along one side to what is multiplied."""

A = torch.tensor(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ],
    dtype=torch.float64,
)
"""From the products along one side to the outputs of a tile."""


@final
class TiledFilters:
    """Filters (K, C, 3, 3), prepared to be slid over maps tile by tile.

    They take four times the filters' memory.
    """

    def __init__(self, filters: Tensor) -> None:
        self._count, channels = filters.shape[:2]
        taps = filters.detach().double().permute(2, 3, 0, 1).reshape(9, -1)
        products = (torch.kron(G, G) @ taps).to(filters.dtype).reshape(-1, self._count, channels)
        reorder = torch.ops.mkldnn._reorder_linear_weight
        self._prepared: list[Tensor] = [reorder(matrix, None) for matrix in products]
        self._inputs = torch.kron(B, B).to(filters.dtype)
        self._outputs = torch.kron(A, A).to(filters.dtype)

    def room_for(self, maps: Tensor) -> Tensor:
        """Where what :meth:`convolve` makes of the maps can be put, (N, K, 4a, 4b)."""
        images, _, height, width = maps.shape
        size = (images, self._count, height // TILE * TILE, width // TILE * TILE)
        return torch.empty(size, dtype=maps.dtype, memory_format=torch.channels_last)

    def convolve(
        self,
        maps: Sequence[Tensor],
        found: Sequence[Tensor],
        *,
        bias: Tensor | None = None,
        least: float | None = None,
    ) -> None:
        """Maps (1, C, 4a + 2, 4b + 2) of any sizes, channels innermost, without padding into
        ``found``, (1, K, 4a, 4b) each.

        ``bias`` (K,) is added, or else what is less than ``least`` becomes ``least``.
        """
        sizes = [tiles_of(one.shape[2:]) for one in found]
        for group in _groups(sizes):
            tiles = _tiles([one[0].permute(1, 2, 0) for one in maps[group]], sizes[group])
            outputs = torch.split(self._outputs_of(tiles), sizes[group], dim=2)
            for tiled, one in zip(outputs, found[group], strict=True):
                _put(tiled, one[0].permute(1, 2, 0), bias, least)

    def _outputs_of(self, tiles: Tensor) -> Tensor:
        """Tiles of inputs (6, 6, T, C) to tiles of outputs (4, 4, T, K)."""
        given = _by_matrix(self._inputs, tiles.reshape(_GIVEN**2, -1))
        given = given.reshape(_GIVEN**2, *tiles.shape[2:])
        products = given.new_empty((_GIVEN**2, tiles.shape[2], self._count))

        def multiply(places: Sequence[int]) -> None:
            for place in places:
                products[place] = product(given[place], self._prepared[place])

        on_each_core(multiply, len(given))
        found = _by_matrix(self._outputs, products.reshape(_GIVEN**2, -1))
        return found.reshape(TILE, TILE, tiles.shape[2], -1)


def tiles_of(size: Sequence[int]) -> int:
    """How many tiles cover outputs of that size (h, w)."""
    return math.prod(-(-side // TILE) for side in size)


def _groups(tiles: Sequence[int]) -> Iterator[slice]:
    """Neighbours whose tiles are few enough to be done at once."""
    first, together = 0, 0
    for place, own in enumerate(tiles):
        if together and together + own > _TILES_AT_ONCE:
            yield slice(first, place)
            first, together = place, 0
        together += own
    yield slice(first, len(tiles))


def _tiles(maps: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Maps (4a + 2, 4b + 2, C) as overlapping tiles (6, 6, T, C), one map's after another's."""
    channels = maps[0].shape[2]
    tiles = maps[0].new_empty((_GIVEN, _GIVEN, sum(sizes), channels))
    for own, one in zip(torch.split(tiles, list(sizes), dim=2), maps, strict=True):
        row, column, channel = one.stride()
        rows, columns = one.shape[0] // TILE, one.shape[1] // TILE
        size = (_GIVEN, _GIVEN, rows, columns, channels)
        steps = (row, column, TILE * row, TILE * column, channel)
        own.view(size).copy_(one.as_strided(size, steps, one.storage_offset()))
    return tiles


def _put(tiled: Tensor, found: Tensor, bias: Tensor | None, least: float | None) -> None:
    """Tiles of outputs (4, 4, a * b, K) into maps (4a, 4b, K)."""
    height, width, count = found.shape
    rows, columns = height // TILE, width // TILE
    tiles = tiled.reshape(TILE, TILE, rows, columns, count).permute(2, 0, 3, 1, 4)
    place = found.view(rows, TILE, columns, TILE, count)
    if bias is not None:
        torch.add(tiles, bias, out=place)
    elif least is not None:
        torch.clamp_min(tiles, least, out=place)
    else:
        place.copy_(tiles)


def _by_matrix(matrix: Tensor, values: Tensor) -> Tensor:
    """(M, N) times (N, many)."""
    return product(matrix, values.t())

"""Tiled convolutions against PyTorch's own, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from convoscope.engines.torch.way_back.winograd import TILE, A, B, G, TiledFilters, tiles_of

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="this PyTorch has no oneDNN",
)


def maps(generator: torch.Generator, *shape: int) -> Tensor:
    values = torch.randn(shape, generator=generator)
    return values.contiguous(memory_format=torch.channels_last)


def convolved(one: Tensor, filters: Tensor) -> Tensor:
    return functional.conv2d(one.double(), filters.double())


def test_a_tile_of_one_filter_is_exact_in_real_numbers() -> None:
    generator = torch.Generator().manual_seed(0)
    tile = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    taps = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    found = A @ ((G @ taps @ G.T) * (B @ tile @ B.T)) @ A.T
    expected = functional.conv2d(tile[None, None], taps[None, None])[0, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("channels", "count"), [(1, 1), (5, 7), (64, 96)])
def test_maps_of_any_sizes_are_convolved_together(channels: int, count: int) -> None:
    generator = torch.Generator().manual_seed(1)
    filters = torch.randn(count, channels, 3, 3, generator=generator)
    # 1 + 2 + 300 + 12 tiles: more than are done at once, and one of the maps alone is
    sides = [(6, 6), (10, 6), (62, 82), (14, 18)]
    given = [maps(generator, 1, channels, *side) for side in sides]
    tiled = TiledFilters(filters)
    found = [tiled.room_for(one) for one in given]
    tiled.convolve(given, found)
    for one, own in zip(given, found, strict=True):
        expected = convolved(one, filters)
        assert own.shape == expected.shape
        assert own.is_contiguous(memory_format=torch.channels_last)
        assert float((own - expected).abs().max()) < 1e-5 * float(expected.abs().max())


def test_a_bias_is_added_or_what_is_small_is_raised() -> None:
    generator = torch.Generator().manual_seed(2)
    filters, bias = torch.randn(3, 4, 3, 3, generator=generator), torch.tensor([1.0, -2.0, 30.0])
    given = maps(generator, 2, 4, 10, 14)
    tiled, expected = TiledFilters(filters), convolved(given, filters)
    found = tiled.room_for(given)
    tiled.convolve(torch.split(given, 1), torch.split(found, 1), bias=bias)
    torch.testing.assert_close(found.double(), expected + bias[:, None, None], rtol=1e-4, atol=1e-4)
    tiled.convolve(torch.split(given, 1), torch.split(found, 1), least=0.5)
    torch.testing.assert_close(found.double(), expected.clamp(min=0.5), rtol=1e-4, atol=1e-4)


def test_tiles_cover_what_is_left_over() -> None:
    assert [tiles_of(size) for size in [(1, 1), (4, 4), (4, 5), (9, 12)]] == [1, 1, 2, 9]
    assert TILE == 4

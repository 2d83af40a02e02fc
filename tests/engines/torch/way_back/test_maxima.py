from __future__ import annotations

import pytest
import torch

from convoscope.architecture.layers import MaxPool2d
from convoscope.architecture.windows import Window
from convoscope.engines.torch.pooling import MaxPool
from convoscope.engines.torch.way_back.maxima import Maxima, kept_at, lie_side_by_side


def pool_of(
    *, kernel: int = 2, stride: int = 2, padding: int = 0, after: int = 0, ceil: bool = False
) -> MaxPool:
    window = Window(
        extent=(kernel, kernel),
        stride=(stride, stride),
        before=(padding, padding),
        after=(after or padding, after or padding),
    )
    layer = MaxPool2d("pool", kernel_size=kernel, stride=stride, ceil_mode=ceil)
    return MaxPool(layer, window)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("kernel", [2, 3])
def test_the_gradient_is_autograds_where_maxima_are_negative_or_equal_too(
    kernel: int, layout: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(0)
    # few values, so that many windows have several maxima; sides that leave cells over
    given = torch.randint(-2, 2, (2, 3, 4 * kernel + 1, 5 * kernel), generator=generator).float()
    given = given.contiguous(memory_format=layout).requires_grad_()
    pool = pool_of(kernel=kernel, stride=kernel)
    assert lie_side_by_side(pool, given)
    grad = torch.randn(2, 3, 4, 5, generator=generator).contiguous(memory_format=layout)
    (expected,) = torch.autograd.grad(pool(given), given, grad)
    places = Maxima().among(given, pool)
    for image in range(2):
        own = places[image : image + 1, :, : 4 * kernel]
        found = kept_at(own, grad[image : image + 1], pool.kernel_size)
        assert torch.equal(found, expected[image : image + 1, :, : 4 * kernel])


def test_places_are_found_once_for_the_same_maps() -> None:
    maxima, pool = Maxima(), pool_of()
    one, other = torch.arange(16.0).reshape(1, 1, 4, 4), -torch.arange(16.0).reshape(1, 1, 4, 4)
    first = maxima.among(one, pool)
    assert maxima.among(one, pool) is first
    assert not torch.equal(maxima.among(other, pool), first)


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(pool_of(kernel=3), id="overlap"),
        pytest.param(pool_of(stride=3), id="gaps"),
        pytest.param(pool_of(padding=1), id="padded"),
        pytest.param(pool_of(after=1), id="padded on one side"),
        pytest.param(pool_of(ceil=True), id="hang over the border"),
    ],
)
def test_other_windows_do_not_lie_side_by_side(pool: MaxPool) -> None:
    assert not lie_side_by_side(pool, torch.zeros(1, 1, 5, 5))

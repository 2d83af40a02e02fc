from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from convoscope.engines.torch.way_back import packed
from convoscope.engines.torch.way_back.packed import packed_input_gradient, tiled_conv2d, tiles_pay
from convoscope.engines.torch.way_back.sliding import Slide

PLAIN = Slide((1, 1), (1, 1), (1, 1), 1)
SLIDES = [
    pytest.param(Slide((1, 1), (padding, padding), (dilation, dilation), groups), side, id=name)
    for name, padding, dilation, groups, side in [
        ("3x3", 0, 1, 1, 3),
        ("padded", 1, 1, 1, 3),
        ("padded-as-far-as-it-reaches", 4, 2, 1, 3),
        ("dilated", 0, 2, 1, 3),
        ("1x1", 0, 1, 1, 1),
        ("grouped", 1, 1, 2, 3),
    ]
]


def autograd(grad: Tensor, weight: Tensor, shape: tuple[int, ...], slide: Slide) -> Tensor:
    """PyTorch's own gradient, in float64."""
    x = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    y = functional.conv2d(x, weight.double(), None, *slide)
    (found,) = torch.autograd.grad(y, x, grad.double())
    return found


@pytest.mark.parametrize(("slide", "side"), SLIDES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_autograds_for_every_size_that_follows(
    slide: Slide, side: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 8 // slide.groups, side, side, generator=generator, dtype=dtype)
    for height, width in [(9, 7), (5, 11)]:  # the second one meets weights packed for the first
        shape = (1, 8, height, width)
        out = functional.conv2d(torch.zeros(shape, dtype=dtype), weight, None, *slide).shape
        grad = torch.randn(out, generator=generator, dtype=dtype)
        grad = grad.contiguous(memory_format=torch.channels_last)
        found = packed_input_gradient(grad, weight, shape, slide)
        assert found.shape == shape
        expected = autograd(grad, weight, shape, slide)
        assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)
        cut = packed_input_gradient(grad, weight, shape, slide, then="relu")
        assert torch.equal(cut, found.clamp(min=0))


def test_two_layers_weights_are_kept_apart() -> None:
    grad, shape = torch.ones(1, 2, 4, 4), (1, 2, 4, 4)
    one, other = torch.ones(2, 2, 3, 3), torch.full((2, 2, 3, 3), 2.0)
    first = packed_input_gradient(grad, one, shape, PLAIN)
    assert torch.equal(2 * first, packed_input_gradient(grad, other, shape, PLAIN))
    assert torch.equal(first, packed_input_gradient(grad, one, shape, PLAIN))


def test_weights_that_were_changed_are_laid_out_anew() -> None:
    grad, shape = torch.ones(1, 2, 4, 4), (1, 2, 4, 4)
    weight = torch.nn.Parameter(torch.ones(2, 2, 3, 3), requires_grad=False)
    first = packed_input_gradient(grad, weight, shape, PLAIN)
    weight.mul_(2)
    assert torch.equal(packed_input_gradient(grad, weight, shape, PLAIN), 2 * first)
    weight.data = torch.full_like(weight, 3.0)
    assert torch.equal(packed_input_gradient(grad, weight, shape, PLAIN), 3 * first)


def test_what_was_laid_out_goes_with_the_weights() -> None:
    weight = torch.ones(2, 2, 3, 3)
    packed_input_gradient(torch.ones(1, 2, 4, 4), weight, (1, 2, 4, 4), PLAIN)
    kept = weakref.ref(packed._laid_out[weight])
    assert kept() is not None
    del weight
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (3, 3)])
def test_a_tiled_convolution_is_the_plain_one(
    size: tuple[int, int], padding: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(5, 4, 3, 3, generator=generator), torch.randn(5, generator=generator)
    x = torch.randn(2, 4, *size, generator=generator).contiguous(memory_format=torch.channels_last)
    for own in (bias, None):
        found = tiled_conv2d(x, weight, own, padding)
        expected = functional.conv2d(x, weight, own, 1, padding)
        assert found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_tiles_pay_for_wide_layers_and_large_maps_of_plain_convolutions() -> None:
    maps = torch.zeros(1, 256, 20, 20).contiguous(memory_format=torch.channels_last)
    weight = torch.zeros(256, 256, 3, 3)
    assert tiles_pay(maps, weight, PLAIN, 25)
    assert not tiles_pay(maps, weight, PLAIN, 4)
    assert not tiles_pay(maps, torch.zeros(256, 64, 3, 3), PLAIN, 25)
    assert not tiles_pay(maps, torch.zeros(256, 256, 5, 5), PLAIN, 25)
    assert not tiles_pay(maps, weight, PLAIN._replace(stride=(2, 2)), 25)
    assert not tiles_pay(maps, weight, PLAIN._replace(dilation=(2, 2)), 25)
    assert not tiles_pay(maps, weight, PLAIN._replace(groups=2), 25)
    assert not tiles_pay(maps.double(), weight.double(), PLAIN, 25)
    assert not tiles_pay(maps.contiguous(), weight, PLAIN, 25)

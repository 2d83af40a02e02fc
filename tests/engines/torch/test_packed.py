from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from convoscope.engines.torch.cropping import Slide
from convoscope.engines.torch.packed import PackedWeights

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
    weights = PackedWeights()
    for height, width in [(9, 7), (5, 11)]:  # the second one meets weights packed for the first
        shape = (1, 8, height, width)
        out = functional.conv2d(torch.zeros(shape, dtype=dtype), weight, None, *slide).shape
        grad = torch.randn(out, generator=generator, dtype=dtype)
        grad = grad.contiguous(memory_format=torch.channels_last)
        found = weights.input_gradient(grad, weight, shape, slide)
        assert found.shape == shape
        expected = autograd(grad, weight, shape, slide)
        assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5)
        cut = weights.input_gradient(grad, weight, shape, slide, then="relu")
        assert torch.equal(cut, found.clamp(min=0))


def test_two_layers_weights_are_kept_apart() -> None:
    slide, weights = Slide((1, 1), (1, 1), (1, 1), 1), PackedWeights()
    grad = torch.ones(1, 2, 4, 4)
    one, other = torch.ones(2, 2, 3, 3), torch.full((2, 2, 3, 3), 2.0)
    first = weights.input_gradient(grad, one, (1, 2, 4, 4), slide)
    assert torch.equal(2 * first, weights.input_gradient(grad, other, (1, 2, 4, 4), slide))
    assert torch.equal(first, weights.input_gradient(grad, one, (1, 2, 4, 4), slide))

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from convoscope.architecture.windows import LARGEST_SIDE, places, window
from convoscope.errors import ShapeError

SIDES = st.integers(1, 30)
KERNELS = st.integers(1, 7)
STRIDES = st.integers(1, 5)


@given(SIDES, SIDES, KERNELS, STRIDES, st.integers(0, 4), st.integers(1, 3))
@settings(deadline=None)
def test_places_of_a_convolution_are_pytorchs(
    height: int, width: int, kernel_size: int, stride: int, padding: int, dilation: int
) -> None:
    size = (height, width)
    view = window(size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    image = torch.empty(1, 1, height, width, device="meta")
    kernel = torch.empty(1, 1, kernel_size, kernel_size, device="meta")
    if min(size) + 2 * padding < dilation * (kernel_size - 1) + 1:
        with pytest.raises(ShapeError, match="does not fit in a map of"):
            places(size, view, kernel_size=kernel_size)
        return
    maps = functional.conv2d(image, kernel, None, stride, padding, dilation)
    assert places(size, view, kernel_size=kernel_size) == tuple(maps.shape[2:])


@given(SIDES, SIDES, KERNELS, STRIDES, st.integers(0, 3), st.booleans())
@settings(deadline=None)
def test_places_of_a_pooling_are_pytorchs(
    height: int, width: int, kernel_size: int, stride: int, padding: int, ceil_mode: bool
) -> None:
    padding = min(padding, kernel_size // 2)
    if min(height, width) + 2 * padding < kernel_size:
        return
    view = window((height, width), kernel_size=kernel_size, stride=stride, padding=padding)
    found = places((height, width), view, kernel_size=kernel_size, ceil_mode=ceil_mode)
    image = torch.zeros(1, 1, height, width)
    maps = functional.max_pool2d(image, kernel_size, stride, padding, ceil_mode=ceil_mode)
    assert found == tuple(maps.shape[2:])


@given(SIDES, KERNELS, STRIDES, st.integers(1, 3))
@settings(deadline=None)
def test_same_padding_gives_the_ceiling_of_side_by_stride(
    side: int, kernel_size: int, stride: int, dilation: int
) -> None:
    view = window(
        (side, side), kernel_size=kernel_size, stride=stride, padding="same", dilation=dilation
    )
    expected = -(-side // stride)
    assert places((side, side), view, kernel_size=kernel_size) == (expected, expected)
    assert view.after[0] - view.before[0] in (0, 1)


@given(KERNELS, st.integers(1, 3))
@settings(deadline=None)
def test_same_padding_at_stride_1_is_pytorchs(kernel_size: int, dilation: int) -> None:
    image, kernel = torch.arange(81.0).view(1, 1, 9, 9), torch.rand(1, 1, kernel_size, kernel_size)
    view = window((9, 9), kernel_size=kernel_size, stride=1, padding="same", dilation=dilation)
    padded = functional.pad(image, (view.before[1], view.after[1], view.before[0], view.after[0]))
    ours = functional.conv2d(padded, kernel, dilation=dilation)
    if kernel_size % 2 or dilation % 2 == 0:  # PyTorch warns where it must copy to pad unevenly
        theirs = functional.conv2d(image, kernel, padding="same", dilation=dilation)
        torch.testing.assert_close(ours, theirs)
    assert ours.shape == image.shape


def test_same_padding_puts_the_odd_pixel_at_the_bottom_and_the_right() -> None:
    view = window((4, 5), kernel_size=3, stride=2, padding="same")
    assert (view.before, view.after) == ((0, 1), (1, 1))


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "message"),
    [
        (5, 1, "a 5x5 kernel with padding 0 does not fit in a map of 4x6: use a smaller kernel"),
        (11, 1, "an 11x11 kernel with padding 0 does not fit in a map of 4x6: "),
        (8, 1, "an 8x8 kernel with padding 0 does not fit in a map of 4x6: "),
        (3, 2, r"a 3x3 kernel \(dilated to 5x5\) with padding 0 does not fit in a map of 4x6: "),
    ],
)
def test_a_kernel_that_does_not_fit_is_one_sentence(
    kernel_size: int, dilation: int, message: str
) -> None:
    view = window((4, 6), kernel_size=kernel_size, stride=1, padding=0, dilation=dilation)
    with pytest.raises(ShapeError, match=message):
        places((4, 6), view, kernel_size=kernel_size)


def test_padding_that_blows_a_map_up_is_refused() -> None:
    view = window((4, 4), kernel_size=1, stride=1, padding=LARGEST_SIDE)
    with pytest.raises(
        ShapeError, match="at most 65536 places wide and high, padding 65536 on a map of 4x4 makes"
    ):
        places((4, 4), view, kernel_size=1)

"""A square window that slides over maps: the geometry that convolution and pooling share.

Nothing here multiplies. The maps (N, H, W, C) are put in a frame of padding; then either all
windows are looked at as one array without copying (:meth:`Sliding.windows`), or one offset of
all windows at once (:meth:`Sliding.offset`). Both are views, so no pixel is visited by a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convoscope.architecture.windows import Size
from convoscope.arrays import Array

Strip = tuple[slice, slice]

_STRIP_BYTES = 1 << 20
_FEWEST_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Sliding:
    """Window (i, j) has its first pixel at ``(i s - p, j s - p')`` and holds k x k pixels,
    ``dilation`` apart; ``before`` is (p, p') and ``count`` the number of windows (H', W').
    """

    kernel_size: int
    count: Size
    stride: int = 1
    dilation: int = 1
    before: Size = (0, 0)

    def frame(self, maps: Array, fill: float = 0.0) -> Array:
        """The maps (N, H, W, C) within all the padding that the windows reach into."""
        after = [max(0, self._reach(axis) - maps.shape[1 + axis]) for axis in (0, 1)]
        if not any(self.before) and not any(after):
            return np.ascontiguousarray(maps)
        sides = ((0, 0), (self.before[0], after[0]), (self.before[1], after[1]), (0, 0))
        return np.pad(maps, sides, constant_values=fill)

    def unframe(self, framed: Array, size: Size) -> Array:
        """The part of a frame that lies over maps of ``size``."""
        (top, left), (height, width) = self.before, size
        return framed[:, top : top + height, left : left + width]

    def offset(self, index: int, axis: int) -> slice:
        """Along ``axis`` (0 down, 1 across), the pixels of a frame that are the ``index``-th of
        their windows.
        """
        first = index * self.dilation
        return slice(first, first + (self.count[axis] - 1) * self.stride + 1, self.stride)

    def windows(self, framed: Array) -> Array:
        """Every window of a frame, (N, H', W', k, k, C), as a view that copies nothing."""
        n, row, column, channel = framed.strides
        k, s, d = self.kernel_size, self.stride, self.dilation
        return np.lib.stride_tricks.as_strided(
            framed,
            (len(framed), *self.count, k, k, framed.shape[3]),
            (n, s * row, s * column, d * row, d * column, channel),
            writeable=False,
        )

    def strips(self, framed: Array) -> Iterator[tuple[Strip, Array]]:
        """The windows as rows of matrices (M, k k C), each small enough to stay in cache, with the
        slices of images and of window rows that it holds.

        A window's values are written one after the other (im2col), so that a convolution becomes
        a product of two matrices. Where one row of a kernel is short, the matrix is filled column
        by column instead: copying long runs is what is fast.
        """
        windows = self.windows(framed)
        width = self.kernel_size**2 * framed.shape[3]
        is_short = self.kernel_size * framed.shape[3] < min(16, self.count[1])
        for strip in self._strips(len(framed), width * framed.itemsize):
            part = windows[strip]
            if is_short:
                columns = np.ascontiguousarray(part.transpose(3, 4, 5, 0, 1, 2))
                yield strip, columns.reshape(width, -1).T
            else:
                yield strip, part.reshape(-1, width)

    def _strips(self, images: int, row_bytes: int) -> Iterator[Strip]:
        height, width = self.count
        places = max(_FEWEST_ROWS, _STRIP_BYTES // row_bytes)
        whole_images = max(1, places // (height * width))
        rows = height if whole_images > 1 else min(height, max(1, places // width))
        for image in range(0, images, whole_images):
            for row in range(0, height, rows):
                yield slice(image, image + whole_images), slice(row, row + rows)

    def _reach(self, axis: int) -> int:
        """How many pixels after the padding before it the last window ends."""
        last = (self.count[axis] - 1) * self.stride + (self.kernel_size - 1) * self.dilation
        return last + 1 - self.before[axis]


def offsets(kernel_size: int) -> Iterator[tuple[int, int]]:
    """The k k places in a window, row by row."""
    return ((i, j) for i in range(kernel_size) for j in range(kernel_size))

"""Sliding windows: how many places one has, and which pixels the first of them covers.

Conv and pool layers share this arithmetic. All sizes are in pixels of the layer's input,
in the order (height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from convoscope.errors import ShapeError

Size: TypeAlias = tuple[int, int]
Padding: TypeAlias = int | Literal["same", "valid"]

LARGEST_SIDE = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one output cell sees: output cell ``i`` covers input pixels
    ``i * stride - before`` to ``i * stride - before + extent - 1``.

    ``extent`` counts the gaps of a dilated kernel, which looks at every ``dilation``-th pixel only;
    ``before`` and ``after`` are the padding. With stride 0 every cell sees the same pixels.
    """

    extent: Size
    stride: Size
    before: Size
    after: Size
    dilation: int = 1


POINT = Window(extent=(1, 1), stride=(1, 1), before=(0, 0), after=(0, 0))


def whole(size: Size) -> Window:
    """The window that covers a whole map at once, as global pooling and flattening do."""
    return Window(extent=size, stride=(0, 0), before=(0, 0), after=(0, 0))


def window(
    size: Size, *, kernel_size: int, stride: int, padding: Padding, dilation: int = 1
) -> Window:
    """The window of a square kernel on a map of ``size``.

    ``"same"`` is TensorFlow's: the output has ``ceil(size / stride)`` places, and an odd
    pixel of padding goes to the bottom and the right.
    """
    extent = dilation * (kernel_size - 1) + 1
    before_h, after_h = _padding(size[0], extent, stride, padding)
    before_w, after_w = _padding(size[1], extent, stride, padding)
    return Window(
        extent=(extent, extent),
        stride=(stride, stride),
        before=(before_h, before_w),
        after=(after_h, after_w),
        dilation=dilation,
    )


def places(size: Size, window: Window, *, kernel_size: int, ceil_mode: bool = False) -> Size:
    """How many places the window has on a map of ``size``: ``(n + p - extent) // s + 1``.

    With ``ceil_mode`` a last window may stick out at the bottom and the right, provided
    that it starts inside the map or its left padding (PyTorch's rule).

    Raises:
        ShapeError: if the window is larger than the padded map, or padding blows the map up.
    """
    counts = []
    for axis, n in enumerate(size):
        before, after = window.before[axis], window.after[axis]
        room, step = n + before + after - window.extent[axis], window.stride[axis]
        if room < 0:
            raise ShapeError(
                f"{_article(kernel_size)} {kernel_size}x{kernel_size} kernel"
                f"{_spread(kernel_size, window)} with padding {before} does not fit "
                f"in a map of {size[0]}x{size[1]}: use a smaller kernel, more padding, fewer "
                "poolings before it, or a larger input"
            )
        count = room // step + 1
        if ceil_mode and room % step and count * step < n + before:
            count += 1
        if count > LARGEST_SIDE:
            raise ShapeError(
                f"a map must be at most {LARGEST_SIDE} places wide and high, padding {before} on a "
                f"map of {size[0]}x{size[1]} makes it larger: use less padding"
            )
        counts.append(count)
    return counts[0], counts[1]


def _article(number: int) -> str:
    return "an" if str(number).startswith("8") or number in (11, 18) else "a"


def _spread(kernel_size: int, window: Window) -> str:
    extent = window.extent[0]
    return "" if extent == kernel_size else f" (dilated to {extent}x{extent})"


def _padding(n: int, extent: int, stride: int, padding: Padding) -> Size:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max((-(-n // stride) - 1) * stride + extent - n, 0)
        return total // 2, total - total // 2
    return padding, padding

"""The way back through a convolution on crops, several at once.

Only those cells are computed that the crops' windows cover and that are no padding. Wide layers of
3 x 3 filters take all crops together, tile by tile, so that their many weights are read once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from torch import Tensor

from convoscope.engines.torch.modules import Conv
from convoscope.engines.torch.way_back.crops import (
    Crop,
    Link,
    Margins,
    inside,
    padding_before,
    windows,
)
from convoscope.engines.torch.way_back.packed import (
    packed_input_gradient,
    tiled_input_gradients,
    tiles_pay,
)
from convoscope.engines.torch.way_back.sliding import Slide, input_gradient
from convoscope.engines.torch.way_back.winograd import TILE, tiles_of

Rectified: TypeAlias = Callable[[Crop, Link, Margins], Tensor]
"""The gradient of what a link's ReLU was given, between zeros, (1, C, h, w)."""

_NONE = Margins(0, 0, 0, 0)
_REACH = 2  # of a window of three, beyond the place where it begins


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Passage:
    """A crop, and the cells below that its windows cover and that are no padding.

    ``hanging`` is how far the windows go beyond them.
    """

    crop: Crop
    rows: range
    columns: range
    hanging: Margins

    @property
    def size(self) -> tuple[int, int]:
        return len(self.rows), len(self.columns)

    def to(self, grad: Tensor, *, is_positive: bool) -> Crop:
        """The crop below."""
        return Crop(
            grad=grad,
            top=self.rows.start,
            left=self.columns.start,
            image=self.crop.image,
            start=self.crop.start,
            is_positive=is_positive,
        )


def conv_back(crops: Sequence[Crop], link: Link, rectified: Rectified, *, cut: bool) -> list[Crop]:
    """The gradients of what the link was given; where ``cut``, without their negative values.

    A crop whose windows lie in padding alone has none, and is left out.
    """
    conv = link.module
    assert isinstance(conv, Conv)
    pair = (conv.stride, conv.stride)
    slide = Slide(pair, (0, 0), (conv.dilation, conv.dilation), conv.groups)
    if conv.stride > 1:
        return [_strided_back(crop, conv, link, slide, rectified) for crop in crops]
    passages = [_passage(crop, conv, link.given) for crop in crops]
    passages = [passage for passage in passages if all(passage.size)]
    tiles = sum(tiles_of(passage.size) for passage in passages)
    reach = max((max(passage.hanging) for passage in passages), default=0)
    if reach <= _REACH and tiles_pay(link.gave, conv.weight, slide, tiles):
        grads = _tiled_back(passages, conv, link, rectified, cut=cut)
    else:
        grads = [_slid_back(p, conv, link, slide, rectified, cut=cut) for p in passages]
    return [p.to(grad, is_positive=cut) for p, grad in zip(passages, grads, strict=True)]


def _passage(crop: Crop, conv: Conv, given: Tensor) -> _Passage:
    covered = windows(crop, (1, 1), padding_before(conv), _extent(conv))
    rows, columns = (
        range(side)[max(span.start, 0) : max(span.stop, 0)]
        for span, side in zip(covered, given.shape[2:], strict=True)
    )
    hanging = Margins(
        left=columns.start - covered[1].start,
        right=covered[1].stop - columns.stop,
        above=rows.start - covered[0].start,
        below=covered[0].stop - rows.stop,
    )
    return _Passage(crop=crop, rows=rows, columns=columns, hanging=hanging)


def _strided_back(crop: Crop, conv: Conv, link: Link, slide: Slide, rectified: Rectified) -> Crop:
    covered = windows(crop, slide.stride, padding_before(conv), _extent(conv))
    shape = (1, link.given.shape[1], *map(len, covered))
    found = input_gradient(rectified(crop, link, _NONE), conv.weight, shape, slide)
    return inside(crop, found, *covered, link.given)


def _slid_back(
    passage: _Passage, conv: Conv, link: Link, slide: Slide, rectified: Rectified, *, cut: bool
) -> Tensor:
    """A convolution's way back pads alike on both sides. Where windows hang over one border of the
    map only, zeros are put before the other: what it then cuts off is padding on the one side and
    nothing on the other.
    """
    left, right, above, below = passage.hanging
    across, along = max(left, right), max(above, below)
    zeros = Margins(across - left, across - right, along - above, along - below)
    return packed_input_gradient(
        rectified(passage.crop, link, zeros),
        conv.weight,
        (1, link.given.shape[1], *passage.size),
        slide._replace(padding=(along, across)),
        then="relu" if cut else "none",
    )


def _tiled_back(
    passages: Sequence[_Passage], conv: Conv, link: Link, rectified: Rectified, *, cut: bool
) -> list[Tensor]:
    """All zeros are put around the crops, and as many more as make the tiles whole."""
    framed = []
    for passage in passages:
        height, width = passage.size
        left, right, above, below = (_REACH - over for over in passage.hanging)
        zeros = Margins(left, right + -width % TILE, above, below + -height % TILE)
        framed.append(rectified(passage.crop, link, zeros))
    found = tiled_input_gradients(framed, conv.weight, then="relu" if cut else "none")
    return [
        grad[:, :, : passage.size[0], : passage.size[1]]
        for grad, passage in zip(found, passages, strict=True)
    ]


def _extent(conv: Conv) -> list[int]:
    return [conv.dilation * (side - 1) + 1 for side in conv.weight.shape[2:]]

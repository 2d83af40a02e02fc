"""How the values inside somebody else's module lie in the image: as maps, in whatever order.

Convolutional networks compute (N, C, h, w). Vision transformers compute tokens (N, T, C), Swin
and the insides of ConvNeXt (N, h, w, C). Which of these an inner module gives is read from the
shape of its output for one image and the image's own height and width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from convoscope.architecture.protocol import Shape

Layout: TypeAlias = Literal["maps", "channels last", "tokens", "vector", "as it is"]


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """How a transformer's tokens lie in the image: ``prefix`` tokens without a place (class token,
    registers), then ``height x width`` patches, row by row.
    """

    height: int
    width: int
    prefix: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in patches."""
        return self.height, self.width


@dataclass(frozen=True, slots=True)
class Inside:
    """What one inner module gives: its layout, and the shape of its maps, (C, h, w) or (K,).

    ``"as it is"`` keeps every value in its order, for another module that goes on from there.
    """

    layout: Layout
    shape: Shape

    def maps(self, output: Tensor, images: int) -> Tensor:
        """An output of ``images`` images as maps (N, C, h, w), without prefix tokens, or vectors
        (N, K).
        """
        match self.layout:
            case "maps":
                return output
            case "channels last":
                return output.permute(0, 3, 1, 2)
            case "tokens":
                # tokens with a place come last, in vision transformers of every kind
                tokens = output[:, output.shape[1] - math.prod(self.shape[1:]) :]
                return tokens.transpose(1, 2).reshape(images, *self.shape)
            case "vector":
                return output.reshape(images, -1)
            case "as it is":
                return output.reshape(images, *self.shape)


def inside(output: Sequence[int], image: Sequence[int], grid: TokenGrid | None) -> Inside:
    """What a module gives whose output for one image (height, width) has the shape ``output``.

    Maps have the image's proportions, give or take what strides round off. Where neither order
    of a 4-D output fits, or it does not hold one image (Swin's windows), it is a vector.
    """
    if output[0] == 1 and len(output) == 4:
        if _is_shrunk(output[2:], image) or (grid and tuple(output[2:]) == grid.size):
            return Inside("maps", tuple(output[1:]))
        if _is_shrunk(output[1:3], image):
            return Inside("channels last", (output[3], output[1], output[2]))
    if output[0] == 1 and len(output) == 3 and grid:
        places = math.prod(grid.size)
        if output[1] in (places, places + grid.prefix):
            return Inside("tokens", (output[2], *grid.size))
    return Inside("vector", (math.prod(output),))


def _is_shrunk(size: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a map of ``size`` may be what strides and unpadded windows make of the image.

    Both sides have then been divided by about the same number. One cell is what global pooling
    leaves.
    """
    (h, w), (height, width) = size, image
    if (h, w) == (1, 1):
        return True
    if h > height or w > width:
        return False
    return (h - 1) * width <= (w + 1) * height and (w - 1) * height <= (h + 1) * width

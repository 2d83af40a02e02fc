"""How an image file becomes what a network's first layer sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Resize: TypeAlias = Literal["squash", "crop", "pad"]
ChannelOrder: TypeAlias = Literal["rgb", "bgr", "gray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Belongs to the network and is saved with it.

    ``size`` (height, width) and ``resize`` are done when an image is decoded; the engine then
    orders the channels and computes ``(v - mean) / sd`` per channel, v in [0, 1], on its device.
    ``mean`` and ``sd`` have one value for all channels or one per channel, in the order of
    ``order``. ``squash`` changes the aspect, ``crop`` takes the largest middle part of the right
    aspect, ``pad`` puts black bars beside the whole image.
    """

    size: tuple[int, int]
    resize: Resize = "squash"
    order: ChannelOrder = "rgb"
    mean: tuple[float, ...] = (0.0,)
    sd: tuple[float, ...] = (1.0,)

    @property
    def channels(self) -> int:
        """1 for gray networks, 3 for the others."""
        return 1 if self.order == "gray" else 3

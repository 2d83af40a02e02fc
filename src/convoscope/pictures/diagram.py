"""A network as a row of blocks: how its maps shrink and its channels grow.

A map's block is as tall as the root of its height and as wide as the logarithm of its channels;
a vector's is thin. Coloured blocks learn. Each head is a row of its own behind the trunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convoscope.pictures.svg import element, line, picture, text, text_width

_TALLEST = 120.0
_GAP = 10.0
_LABEL = 34.0
_SMALL = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A layer's output: ``shape`` is (C, H, W) or (K,); ``head`` is empty on the trunk."""

    name: str
    kind: str
    shape: Sequence[int]
    learns: bool = False
    head: str = ""


def network_diagram(blocks: Sequence[Block]) -> Markup:
    """The blocks from the image on the left to the logits on the right, at their natural size."""
    trunk = [block for block in blocks if not block.head]
    heads = {block.head: [b for b in blocks if b.head == block.head] for block in blocks}
    heads.pop("", None)
    tallest = max(_height(block, trunk[0]) for block in trunk)
    row = max([_height(b, trunk[0]) for h in heads.values() for b in h], default=0) + 2 * _LABEL
    height = max(tallest + 2 * _LABEL, row * len(heads))
    drawn, end = _row(trunk, trunk[0], _GAP, height / 2)
    parts, width = [drawn], end
    for index, (name, chain) in enumerate(heads.items()):
        middle = row * (index + 0.5) if len(heads) > 1 else height / 2
        if len(heads) > 1:
            parts.append(line(end - _GAP, height / 2, end + 18, middle, "axis"))
        head, head_end = _row(chain, trunk[0], end + (22 if len(heads) > 1 else 0), middle)
        parts.append(head)
        if len(heads) > 1:
            parts.append(text(head_end, middle + 4, name, class_="small quiet"))
            head_end += text_width(name, _SMALL) + _GAP
        width = max(width, head_end)
    label = f"The network as {len(blocks)} blocks, from {_said(trunk[0])} to {_said(blocks[-1])}"
    return picture(width, height, *parts, label=label, class_="chart diagram")


def _row(chain: Sequence[Block], first: Block, x: float, middle: float) -> tuple[Markup, float]:
    parts, size = [], None
    for block in chain:
        new_size = block.shape[1:] if block.shape[1:] != size else None
        size = block.shape[1:]
        drawn, x = _block(block, _height(block, first), x, middle, _side(new_size or ()))
        parts.append(drawn)
    return Markup("").join(parts), x


def _block(block: Block, height: float, x: float, middle: float, side: str) -> tuple[Markup, float]:
    width = _width(block)
    channels = str(block.shape[0])
    slot = max(width, text_width(channels, _SMALL), text_width(side, _SMALL))
    left, centre = x + (slot - width) / 2, x + slot / 2
    shape = element(
        "rect",
        element("title", f"{block.name} ({block.kind}): {_said(block)}"),
        x=left,
        y=middle - height / 2,
        width=width,
        height=height,
        rx=1.5,
        class_="block learns" if block.learns else "block",
    )
    below = text(centre, middle + height / 2 + 16, channels, class_="small middle")
    above = text(centre, middle - height / 2 - 7, side, class_="small middle quiet")
    return shape + below + (above if side else Markup("")), x + slot + _GAP


def _height(block: Block, first: Block) -> float:
    if len(block.shape) == 3:
        return 6 + (_TALLEST - 6) * math.sqrt(block.shape[1] / first.shape[1])
    return 8 + 8 * math.log2(1 + block.shape[0])


def _width(block: Block) -> float:
    return 6 + 3 * math.log2(block.shape[0]) if len(block.shape) == 3 else 7


def _side(size: Sequence[int]) -> str:
    if not size:
        return ""
    return f"{size[0]}²" if size[0] == size[1] else f"{size[0]}×{size[1]}"


def _said(block: Block) -> str:
    return " × ".join(str(n) for n in block.shape)

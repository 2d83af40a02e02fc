"""In which order tokens lie that nobody declares: read from what they answer to.

A transformer gives tokens (1, T, C), and T alone does not say where in the image each lies: twins
and xcit go row by row, hiera through nested squares. So parts of an image are exchanged, and the
tokens read row by row must change where the image did. Those that do not are left unread, as a
vector, rather than read wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.protocol import Shape
from convoscope.engines.torch.adopted.layout import Inside
from convoscope.engines.torch.hooks import watching

_CELLS: Final = (4, 4, 4, 8, 8, 8)
"""Per exchanged image into how many rows and columns of cells it is cut, half of them exchanged."""

_FOLLOWS: Final = 0.3
"""The correlation from which on tokens follow the image. With weights drawn, most blocks in reading
order have 0.4 to 0.98 in eight families of timm's, those in another order below 0.1."""

_ALIKE: Final = 1e-4
"""Below which part of the tokens' change what they do not have in common is rounding."""

_MOST_PREFIX: Final = 8
"""Class tokens and registers, which have no place and come first."""


def readings(output: Shape, image: Shape) -> Iterator[Inside]:
    """As which maps tokens of shape ``output``, (1, T, C), could be read, for an image (height,
    width): of its proportions, row by row, after a few tokens without a place.
    """
    if len(output) != 3 or output[0] != 1:
        return
    height, width = image
    for prefix in range(min(_MOST_PREFIX, output[1] - 4) + 1):
        places = output[1] - prefix
        rows = round(math.sqrt(places * height / width))
        columns = places // max(rows, 1)
        if rows * columns == places and _is_strided(rows, columns, image):
            yield Inside("tokens", (output[2], rows, columns))


def read_tokens(
    module: Callable[[], nn.Module],
    input_shape: Shape,
    undeclared: Mapping[str, Shape],
    *,
    cut: str,
) -> dict[str, Inside]:
    """Of the inner modules whose outputs have the shapes ``undeclared`` those that give tokens in
    reading order, and as which maps.

    ``module`` is asked for only where there may be tokens. It computes one pass up to ``cut``, of
    an image of noise and six in which cells of it are exchanged for other noise; on PyTorch's
    ``meta`` device it cannot, and nothing is read.
    """
    possible = {path: tuple(readings(s, input_shape[1:])) for path, s in undeclared.items()}
    possible = {path: layouts for path, layouts in possible.items() if layouts}
    if not possible:
        return {}
    inner = module()
    first = next(inner.parameters(), torch.zeros(()))
    if first.is_meta:
        return {}
    images, exchanged = _exchanged(input_shape)
    found: dict[str, Inside | None] = {}  # None: tokens that do not follow
    silent: set[str] = set()

    def watch(path: str, output: Any) -> None:
        found.pop(path, None)  # a module that computes several times counts as it last did
        silent.discard(path)
        shape = (1, *output.shape[1:]) if isinstance(output, Tensor) else ()
        if path not in possible or shape != undeclared[path] or len(output) != len(images):
            return
        if _is_alike_everywhere(output):
            silent.add(path)
        else:
            found[path] = _best(output, possible[path], exchanged)

    modules = dict(inner.named_modules())
    with torch.no_grad(), watching({p: modules[p] for p in {*possible, cut}}, watch, last=cut):
        inner(images.to(first))
    return _with_silent(found, {path: undeclared[path] for path in silent}, undeclared)


def _best(tokens: Tensor, layouts: Sequence[Inside], exchanged: Tensor) -> Inside | None:
    """How tokens (1 + K, T, C) are to be read, ``None`` if no way makes them follow the image."""
    scores = {how: _score(how.maps(tokens, len(tokens)), exchanged) for how in layouts}
    best = max(scores, key=lambda how: scores[how])
    return best if scores[best] >= _FOLLOWS else None


def _is_alike_everywhere(tokens: Tensor) -> bool:
    """Whether tokens (1 + K, T, C) change all alike or not at all, and so show no order: after an
    even attention to all, or in a branch that starts at zero.
    """
    change = (tokens[1:] - tokens[:1]).float()
    own = change - change.mean(1, keepdim=True)
    return bool(own.norm() <= _ALIKE * change.norm())


def _with_silent(
    found: Mapping[str, Inside | None], silent: Mapping[str, Shape], shapes: Mapping[str, Shape]
) -> dict[str, Inside]:
    """The tokens that follow; and those that show no order, where all others of as many tokens
    follow on one and the same grid.
    """
    grids: dict[int, set[Shape | None]] = {}
    for path, how in found.items():
        grids.setdefault(shapes[path][1], set()).add(how.shape[1:] if how else None)
    read = {path: how for path, how in found.items() if how}
    for path, shape in silent.items():
        same = grids.get(shape[1], set())
        if len(same) == 1 and (grid := next(iter(same))):
            read[path] = Inside("tokens", (shape[2], *grid))
    return read


def _is_strided(rows: int, columns: int, image: Shape) -> bool:
    """Whether the image can have been divided into rows and columns by one and the same number,
    what is left over dropped or padded.
    """
    height, width = image
    if height == width:
        return rows == columns
    divided = [(height // s, width // s) for s in range(1, min(image) + 1)]
    padded = [(-(-height // s), -(-width // s)) for s in range(1, min(image) + 1)]
    return (rows, columns) in (*divided, *padded)


def _exchanged(input_shape: Shape) -> tuple[Tensor, Tensor]:
    """Noise (1 + K, C, H, W), of the second to last image some cells other noise; and which
    pixels of these, (K, 1, H, W), 1 where exchanged.
    """
    rng = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 1, *input_shape, generator=rng)
    masks = [(torch.rand(1, 1, cells, cells, generator=rng) < 0.5).float() for cells in _CELLS]
    exchanged = torch.cat([functional.interpolate(m, size=input_shape[1:]) for m in masks])
    return torch.cat([one, one + exchanged * (other - one)]), exchanged


def _score(maps: Tensor, exchanged: Tensor) -> float:
    """The correlation of where maps (1 + K, C, h, w) change and where the images did.

    What changes everywhere alike, as after attention to all tokens, says nothing and is taken out.
    """
    maps = maps.float().cpu()
    change = maps[1:] - maps[:1]  # (K, C, h, w)
    strength = (change - change.mean((2, 3), keepdim=True)).norm(dim=1)  # (K, h, w)
    strength = strength / strength.mean((1, 2), keepdim=True).clamp(min=1e-30)
    where = functional.adaptive_avg_pool2d(exchanged, strength.shape[1:])[:, 0]
    both = torch.stack([strength, where])
    both = both - both.mean((2, 3), keepdim=True)
    return float(functional.cosine_similarity(both[0].flatten(), both[1].flatten(), dim=0))

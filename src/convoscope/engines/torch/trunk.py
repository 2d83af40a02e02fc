"""Somebody else's module, used as one layer: run up to a cut, its inside traceable by path."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from convoscope.engines.torch.hooks import run_until


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """How a transformer's tokens lie in the image: ``prefix`` tokens without a place (class token,
    registers), then ``height x width`` patches, row by row.
    """

    height: int
    width: int
    prefix: int


@final
class Trunk(nn.Module):
    """:class:`~convoscope.architecture.branches.Adopted`, up to the module at path ``cut``
    (``""``: all of it).

    ``paths`` are the modules inside that give tensors on the way to the cut, ``kept`` the names
    of the parameters and buffers that matter up to there.
    """

    def __init__(
        self,
        inner: nn.Module,
        *,
        cut: str,
        paths: Collection[str],
        kept: Collection[str],
        grid: TokenGrid | None,
    ) -> None:
        super().__init__()
        self.inner, self.cut, self.grid = inner, cut, grid
        self.paths, self.kept = tuple(paths), frozenset(kept)

    def forward(self, x: Tensor) -> Tensor:
        """Images as the module takes them to maps (N, C, h, w) or vectors (N, K)."""
        if not self.cut:
            return self.as_maps(self.inner(x))
        output: Tensor = run_until(self.inner, self.inner.get_submodule(self.cut), x)
        return self.as_maps(output)

    def traceable(self) -> dict[str, nn.Module]:
        """The modules inside, by path."""
        return {path: self.inner.get_submodule(path) for path in self.paths}

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """``"path.parameter"`` and its tensor."""
        for name, tensor in self.inner.state_dict(keep_vars=True).items():
            if name in self.kept:
                yield name, tensor

    def as_maps(self, output: Tensor) -> Tensor:
        """Tokens (N, T, C) as maps (N, C, h, w), without prefix tokens; all else as it is."""
        if self.grid is None or output.ndim != 3:
            return output
        size, prefix = (self.grid.height, self.grid.width), self.grid.prefix
        if output.shape[1] != prefix + math.prod(size):
            return output
        tokens = output[:, prefix:].transpose(1, 2)
        return tokens.reshape(*tokens.shape[:2], *size)

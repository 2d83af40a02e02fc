"""Somebody else's module, used as one layer: run up to a cut, its inside traceable by path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import final

from torch import Tensor, nn

from convoscope.engines.torch.adopted.layout import Inside
from convoscope.engines.torch.hooks import run_until


@final
class Trunk(nn.Module):
    """:class:`~convoscope.architecture.branches.Adopted`, up to the module at path ``cut``
    (``""``: all of it).

    ``paths`` are the modules inside that give tensors on the way to the cut, and the cut itself,
    with what they give; ``kept`` the names of the parameters and buffers that matter up to there.
    """

    def __init__(
        self,
        inner: nn.Module,
        *,
        cut: str,
        paths: Mapping[str, Inside],
        kept: Collection[str],
    ) -> None:
        super().__init__()
        self.inner, self.cut = inner, cut
        self.paths, self.kept = dict(paths), frozenset(kept)

    def forward(self, x: Tensor) -> Tensor:
        """Images as the module takes them to maps (N, C, h, w) or vectors (N, K)."""
        last = self.inner.get_submodule(self.cut)
        output: Tensor = run_until(self.inner, last, x) if self.cut else self.inner(x)
        return self.as_maps(self.cut, output, len(x))

    def traceable(self) -> dict[str, nn.Module]:
        """The modules inside, by path."""
        return {path: self.inner.get_submodule(path) for path in self.paths if path}

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """``"path.parameter"`` and its tensor."""
        for name, tensor in self.inner.state_dict(keep_vars=True).items():
            if name in self.kept:
                yield name, tensor

    def as_maps(self, path: str, output: Tensor, images: int) -> Tensor:
        """An inner module's output as maps (N, C, h, w), or vectors (N, K), whatever its layout."""
        return self.paths[path].maps(output, images)

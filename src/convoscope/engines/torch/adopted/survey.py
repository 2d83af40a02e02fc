"""What a module is, seen in one forward pass: what computes, what comes out, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from convoscope.architecture.branches import Adopted
from convoscope.architecture.protocol import Shape
from convoscope.engines.torch.adopted.layout import TokenGrid, inside
from convoscope.engines.torch.adopted.token_order import read_tokens
from convoscope.engines.torch.adopted.trunk import Trunk
from convoscope.engines.torch.hooks import watching
from convoscope.errors import SettingsError, ShapeError, unknown_name


def survey(
    inner: nn.Module,
    input_shape: Shape,
    *,
    name: str,
    cut: str,
    source: str,
    drawn: Callable[[], nn.Module] | None = None,
) -> tuple[Trunk, Adopted]:
    """The trunk and its layer, as one pass on an image of zeros, forth and back, shows them.

    ``inner`` is in evaluation mode; on PyTorch's ``meta`` device the pass computes nothing, and
    ``drawn`` gives the same module with weights, should it take numbers to see how tokens lie.

    Raises:
        UnknownNameError: if there is no module at ``cut``.
        SettingsError: if the module does not compute ``cut``, or gives no tensor there.
        ShapeError: if the module refuses images of ``input_shape``.
    """
    if cut and cut not in dict(inner.named_modules()):
        raise unknown_name("module", cut, [path for path, _ in inner.named_modules() if path])
    seen = _Seen(computed=set(), tensors={})
    output, macs = _try(inner, input_shape, cut, seen)
    used = _used_parameters(inner, output)
    owners = seen.computed | {path for path, _ in inner.named_modules() if _holds(path, cut)}
    buffers = [key for key, _ in inner.named_buffers() if key.rpartition(".")[0] in owners]
    grid, size = _grid(inner), input_shape[1:]
    given = {**seen.tensors, cut: tuple(output.shape)}
    paths = {path: inside(shape, size, grid) for path, shape in given.items()}
    undeclared = {path: given[path] for path, found in paths.items() if found.layout == "vector"}
    paths |= read_tokens(drawn or (lambda: inner), input_shape, undeclared, cut=cut)
    trunk = Trunk(inner, cut=cut, paths=paths, kept=[*used, *buffers])
    layer = Adopted(
        name,
        source=source,
        cut=cut,
        maps=paths[cut].shape,
        parameters=sum(parameter.numel() for parameter in used.values()),
        multiply_accumulates=macs,
    )
    return trunk, layer


@dataclass(slots=True)
class _Seen:
    """What one forward pass on zeros shows: the modules that computed, and those giving tensors."""

    computed: set[str]
    tensors: dict[str, Shape]

    def watch(self, path: str, output: Any) -> None:
        self.computed.add(path)
        if isinstance(output, Tensor) and path:
            self.tensors[path] = tuple(output.shape)


def _try(inner: nn.Module, input_shape: Shape, cut: str, seen: _Seen) -> tuple[Tensor, int]:
    """What comes out at the cut for one image of zeros, and the multiply-accumulates."""
    first = next(inner.parameters(), torch.zeros(()))
    zeros = torch.zeros(1, *input_shape, device=first.device, dtype=first.dtype)
    outputs: list[Any] = []
    modules = dict(inner.named_modules())

    def watch(path: str, output: Any) -> None:
        seen.watch(path, output)
        if path == cut:
            outputs.append(output)

    counter = FlopCounterMode(display=False)
    try:
        with torch.enable_grad(), counter, watching(modules, watch, last=cut):
            inner(zeros)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ShapeError(
            f"the adopted module must take images of shape (N, {', '.join(map(str, input_shape))})"
            f", and it stopped with {str(error).partition(chr(10))[0]!r}: give its own input_shape"
        ) from error
    if not outputs or not isinstance(outputs[-1], Tensor):
        found = type(outputs[-1]).__name__ if outputs else "nothing, for it is not computed"
        raise SettingsError(
            f"cut={cut!r}: a module must give one tensor where it is cut, got {found}: "
            "cut at another module"
        )
    return outputs[-1], counter.get_total_flops() // 2


def _used_parameters(inner: nn.Module, output: Tensor) -> dict[str, nn.Parameter]:
    """The parameters that the output depends on; all, where the module hides which (no_grad)."""
    named = dict(inner.named_parameters())
    if not output.requires_grad:
        return named
    grads = torch.autograd.grad(output.sum(), list(named.values()), allow_unused=True)
    return {
        key: parameter
        for (key, parameter), grad in zip(named.items(), grads, strict=True)
        if grad is not None
    }


def _holds(path: str, cut: str) -> bool:
    """Whether the module at ``path`` contains the cut, and so never comes to its end."""
    return not path or cut.startswith(f"{path}.")


def _grid(inner: nn.Module) -> TokenGrid | None:
    """How a vision transformer of timm's kind says its tokens lie."""
    embedding = getattr(inner, "patch_embed", getattr(inner, "stem", None))
    size = getattr(embedding, "grid_size", None)
    if size is None:
        return None
    return TokenGrid(int(size[0]), int(size[1]), int(getattr(inner, "num_prefix_tokens", 0)))

"""Watching modules compute: the only place in the project where a module gets a hook.

A hook lives as long as the ``with`` block, whatever happens inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from torch import Tensor, nn

Watcher: TypeAlias = Callable[[str, Any], Any]


class _Reached(BaseException):
    """The forward pass has come as far as it was to go.

    Not an ``Exception``, so that no ``except Exception`` in somebody's ``forward`` catches it.
    """


@contextmanager
def watching(
    modules: Mapping[str, nn.Module], watcher: Watcher, *, last: str | None = None
) -> Iterator[None]:
    """Call ``watcher(name, output)`` whenever one of the modules has computed.

    What the watcher returns, unless it is ``None``, goes on in place of the output. The block
    ends, without an error, as soon as the module named ``last`` has been watched.
    """
    reached = _Reached()  # this block's own: a block inside another must not end for it
    handles = []
    try:
        for name, module in modules.items():
            hook = _hook(name, watcher, reached if name == last else None)
            handles.append(module.register_forward_hook(hook))
        yield
    except _Reached as error:
        if error is not reached:
            raise
    finally:
        for handle in handles:
            handle.remove()


def run_until(module: nn.Module, last: nn.Module, x: Tensor) -> Any:
    """The output of ``last``, a module inside ``module``, in a forward pass that ends there.

    ``None`` if the pass never comes to it.
    """
    outputs: list[Any] = []
    with watching({"last": last}, lambda _, output: outputs.append(output), last="last"):
        module(x)
    return outputs[-1] if outputs else None


def _hook(
    name: str, watcher: Watcher, reached: _Reached | None
) -> Callable[[nn.Module, Any, Any], Any]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        replacement = watcher(name, output)
        if reached is not None:
            raise reached
        return replacement

    return hook

"""Watching modules: hooks live as long as the block, whatever happens inside."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convoscope.engines.torch.hooks import run_until, watching


class Nosy(nn.Module):
    """Catches every Exception, and counts how far it came."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.calls = nn.Linear(2, 2), nn.Identity(), 0

    def forward(self, x: Tensor) -> Tensor:
        try:
            x = self.second(self.first(x))
        except Exception:
            return x * 0
        self.calls += 1
        return x


def hook_count(module: nn.Module) -> int:
    return sum(len(inner._forward_hooks) for inner in module.modules())


def test_a_watcher_sees_outputs_in_order_and_may_replace_them() -> None:
    module, seen = Nosy(), []

    def watch(name: str, output: Tensor) -> Tensor | None:
        seen.append(name)
        return output + 1 if name == "first" else None

    x = torch.ones(1, 2)
    with watching({"second": module.second, "first": module.first}, watch):
        y = module(x)
    assert seen == ["first", "second"]
    torch.testing.assert_close(y, module.first(x) + 1)
    assert hook_count(module) == 0


def test_the_pass_ends_at_the_last_module_even_inside_a_try() -> None:
    module = Nosy()
    y = run_until(module, module.first, torch.ones(1, 2))
    torch.testing.assert_close(y, module.first(torch.ones(1, 2)))
    assert module.calls == 0
    assert hook_count(module) == 0


def test_a_module_that_is_never_reached_gives_nothing() -> None:
    assert run_until(Nosy(), nn.Linear(1, 1), torch.ones(1, 2)) is None


def test_a_block_inside_another_does_not_end_for_it() -> None:
    module, seen = Nosy(), []
    with watching({"first": module.first}, lambda name, _: seen.append(name), last="first"):
        seen.append(str(run_until(module, module.second, torch.ones(1, 2))))
    assert seen == ["first"]
    assert hook_count(module) == 0


def test_an_error_goes_through_and_the_hooks_are_gone() -> None:
    module = Nosy()
    with (
        pytest.raises(KeyboardInterrupt),
        watching({"first": module.first}, lambda *_: None, last="first"),
    ):
        raise KeyboardInterrupt
    assert hook_count(module) == 0

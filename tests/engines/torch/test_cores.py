"""Small operations on all cores at once, beside threads that wait asleep and threads that spin."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
import torch

from convoscope.engines.torch import cores
from convoscope.engines.torch.cores import on_each_core


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "threads_wait_asleep", lambda: True)


@pytest.mark.usefixtures("asleep")
def test_everything_is_done_once_on_threads_of_one_core_each() -> None:
    before, seen = torch.get_num_threads(), {}
    assert before == 2

    def work(numbers: Sequence[int]) -> None:
        time.sleep(0.05)  # so that one thread cannot do both shares
        for number in numbers:
            seen[number] = (threading.current_thread(), torch.get_num_threads())

    on_each_core(work, 7)
    assert sorted(seen) == list(range(7))
    assert len({thread for thread, _ in seen.values()}) == 2
    assert {threads for _, threads in seen.values()} == {1}
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("asleep")
def test_what_goes_wrong_on_a_core_is_raised() -> None:
    def work(numbers: Sequence[int]) -> None:
        raise MemoryError(f"no room for {list(numbers)}")

    with pytest.raises(MemoryError, match=r"no room for \[0, 2\]"):
        on_each_core(work, 4)


def test_beside_threads_that_spin_everything_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "threads_wait_asleep", lambda: False)
    seen: list[tuple[list[int], threading.Thread]] = []
    on_each_core(lambda numbers: seen.append((list(numbers), threading.current_thread())), 3)
    assert seen == [([0, 1, 2], threading.current_thread())]


@pytest.mark.usefixtures("asleep")
def test_a_single_thing_is_done_here() -> None:
    seen: list[threading.Thread] = []
    on_each_core(lambda numbers: seen.append(threading.current_thread()), 1)
    assert seen == [threading.current_thread()]

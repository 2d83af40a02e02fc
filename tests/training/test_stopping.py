from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from convoscope.training.stopping import best_epoch, is_out_of_patience

losses_so_far = st.lists(st.floats(0, 10), max_size=30)


def slow_run(losses: list[float], patience: int) -> int:
    """Epochs run when a counter is kept from epoch to epoch."""
    best, waited = float("inf"), 0
    for epoch, loss in enumerate(losses, start=1):
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited >= patience:
            return epoch
    return len(losses)


def test_before_the_first_epoch_none_is_best() -> None:
    assert best_epoch([]) == 0
    assert not is_out_of_patience([], 1)


def test_of_equal_epochs_the_first_is_best() -> None:
    assert best_epoch([3.0, 1.0, 2.0, 1.0]) == 2


@given(losses_so_far, st.integers(1, 6))
def test_patience_stops_where_a_counter_would(losses: list[float], patience: int) -> None:
    stops = [n for n in range(1, len(losses) + 1) if is_out_of_patience(losses[:n], patience)]
    assert (stops[0] if stops else len(losses)) == slow_run(losses, patience)


@given(losses_so_far)
def test_without_patience_it_never_stops(losses: list[float]) -> None:
    assert not is_out_of_patience(losses, None)

from __future__ import annotations

import threading
import time

import pytest

from convoscope.data.workers import default_workers, ordered


def test_results_come_in_the_order_of_the_items() -> None:
    def late_first(item: int) -> int:
        time.sleep(0.002 * (item % 3 == 0))
        return item * item

    assert list(ordered(late_first, range(50), workers=4)) == [i * i for i in range(50)]
    assert list(ordered(late_first, [], workers=4)) == []


def test_no_more_is_begun_than_can_be_held() -> None:
    begun = 0
    lock = threading.Lock()

    def count(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return item

    results = ordered(count, range(1000), workers=2, ahead=3)
    assert next(results) == 0
    time.sleep(0.02)
    assert begun <= 2 * 3
    results.close()  # type: ignore[attr-defined]
    assert begun <= 2 * 3


def test_an_error_is_raised_where_its_result_would_have_come() -> None:
    def fail_at_3(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = ordered(fail_at_3, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_there_is_at_least_one_worker() -> None:
    assert 1 <= default_workers() <= 16

"""Work done by several threads whose results come back in the order of the items.

Threads suffice: decoding, resizing, warping and hashing all run outside the interpreter's lock.
Since results keep their order and each depends on its item alone, the number of threads changes
how long it takes and nothing else.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS_AT_MOST = 16


def core_count() -> int:
    """The processor's cores that this process may use."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return len(allowed) or os.cpu_count() or 1


def default_workers() -> int:
    """As many threads as this process may use cores, up to ``WORKERS_AT_MOST``."""
    return min(core_count(), WORKERS_AT_MOST)


def ordered(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int | None = None,
    ahead: int = 4,
) -> Iterator[R]:
    """``map(function, items)`` computed by ``workers`` threads, at most ``workers * ahead`` early.

    An exception of ``function`` is raised where its result would have come. Whoever stops reading
    early closes the iterator, which waits for the calls that are running and drops the others.
    """
    threads = workers or default_workers()
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="convoscope-data") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= threads * ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

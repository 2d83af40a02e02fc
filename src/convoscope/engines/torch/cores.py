"""Many small operations, each on one core, as many at a time as PyTorch may use.

PyTorch divides every operation among the cores and waits for the last of them. Where its threads
wait asleep, waking them for each of many small ones takes a good part of the time, and where other
programs run as well most of it. Here each core does whole operations, and is waited for once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

from convoscope.engines.torch.waiting import threads_wait_asleep


def on_each_core(work: Callable[[Sequence[int]], object], count: int) -> None:
    """Do ``work`` on the numbers below ``count``, a share of them per core.

    Threads of PyTorch's that spin while they wait would take the cores from ours: beside them
    everything is done here, one after the other, and divided as PyTorch does it.
    """
    cores = min(torch.get_num_threads(), count)
    if cores < 2 or not threads_wait_asleep():
        work(range(count))
        return
    shares = [range(first, count, cores) for first in range(cores)]
    list(_workers(cores).map(work, shares))


@cache
def _workers(cores: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(
        cores, thread_name_prefix="convoscope-torch", initializer=_keep_to_one_core
    )


def _keep_to_one_core() -> None:
    from threadpoolctl import threadpool_limits  # sets an environment variable when imported

    torch.get_num_threads()  # PyTorch sets the thread's number itself when it is first asked
    threadpool_limits(1, user_api="openmp")

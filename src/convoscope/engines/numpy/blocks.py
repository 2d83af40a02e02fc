"""Work on blocks of images, as many at a time as there are cores.

NumPy's own arithmetic runs on one core, and its matrix products on all of them. Here each core
takes a block of images through several layers, with matrix products on that core alone, so that
everything runs on all cores and a block's maps are still in cache when the next layer wants
them. Which images make a block depends on sizes only, never on the number of cores, and what the
blocks give is added up in their order, so the number of cores changes no byte of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")

_BLOCK_BYTES = 4 << 20
_FEWEST_BLOCKS = 4


def image_blocks(images: int, image_bytes: int) -> list[slice]:
    """Slices of at most a few megabytes of maps each, and at least four if there are images."""
    size = max(1, min(_BLOCK_BYTES // max(1, image_bytes), -(-images // _FEWEST_BLOCKS)))
    return [slice(i, min(i + size, images)) for i in range(0, images, size)]


def spans(length: int, size: int) -> list[slice]:
    """Slices of ``size``, the last one perhaps shorter, that cover ``length``."""
    return [slice(i, min(i + size, length)) for i in range(0, length, size)]


def each(work: Callable[[Any], Result], parts: Sequence[Any]) -> list[Result]:
    """``[work(part) for part in parts]``, on all cores at once.

    A single part is worked on where it is, with all cores for its matrix products.
    """
    cores = core_count()
    if len(parts) < 2 or cores < 2 or _IN_WORKER.active:
        return [work(part) for part in parts]
    with _one_core_per_product():
        return list(_workers(cores).map(lambda part: _as_worker(work, part), parts))


def core_count() -> int:
    """The number of threads that NumPy's matrix products use now (``OMP_NUM_THREADS``)."""
    return max([library.num_threads for library in _blas().lib_controllers], default=1)


class _Worker(threading.local):
    active = False


_IN_WORKER = _Worker()


def _as_worker(work: Callable[[Any], Result], part: object) -> Result:
    _IN_WORKER.active = True
    try:
        return work(part)
    finally:
        _IN_WORKER.active = False


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(internal_api=["openblas", "mkl", "blis"])


@cache
def _workers(cores: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores, thread_name_prefix="convoscope-numpy")


@contextmanager
def _one_core_per_product() -> Iterator[None]:
    with _blas().limit(limits=1):
        yield

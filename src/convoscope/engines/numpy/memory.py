"""Memory that a training step frees stays with the process, for the next step to use again."""

from __future__ import annotations

import ctypes
import sys

# the parameters of mallopt(3), from glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask the C library to keep large freed arrays; True if it does (Linux with glibc).

    By default glibc hands an array of megabytes back to the system as soon as it is freed, and
    the system clears every page of the next one: for a network with large maps a third of a
    step. This holds for the whole process, which keeps its peak memory until it ends, so it is
    for the program to decide, not for a learner. Call it before the first step.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wishes = {_TRIM_THRESHOLD: _LARGEST, _MMAP_THRESHOLD: 2**30, _ARENA_MAX: 1}
    accepted = [mallopt(name, value) == 1 for name, value in wishes.items()]
    return all(accepted)

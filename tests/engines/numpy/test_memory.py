"""Freed memory that is kept: in a process of its own, for it holds for the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from convoscope.engines.numpy.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(8 << 20, dtype=np.uint8)
        np.ones(64 << 20, dtype=np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
assert keep_freed_memory()
faults()
after = faults()
assert after < before / 10, (before, after)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc alone is asked")
def test_arrays_freed_are_used_again_without_asking_the_system() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)

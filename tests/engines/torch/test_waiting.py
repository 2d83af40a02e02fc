"""PyTorch's threads sleep while they wait, unless the user says otherwise; in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import os
before = dict(os.environ)
import convoscope.engines.torch.network
import torch
assert dict(os.environ) == before, "the environment is as it was"
from convoscope.engines.torch.waiting import threads_wait_asleep
print(torch.get_num_threads(), threads_wait_asleep())
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP what it read")


def started(**environment: str) -> tuple[str, int, bool]:
    """What OpenMP says of its settings, the number of threads, and whether we know them asleep."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        text=True,
        env={**kept, "OMP_DISPLAY_ENV": "VERBOSE", **environment},
        check=True,
        timeout=120,
    )
    threads, asleep = done.stdout.split()
    return done.stderr, int(threads), asleep == "True"


def test_threads_sleep_while_they_wait() -> None:
    settings, _, asleep = started()
    assert asleep
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in settings
    assert "GOMP_SPINCOUNT = '0'" in settings


def test_what_the_user_set_stays() -> None:
    settings, _, asleep = started(OMP_WAIT_POLICY="ACTIVE")
    assert not asleep
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in settings
    assert started(OMP_WAIT_POLICY="passive")[2]
    settings, _, _ = started(GOMP_SPINCOUNT="7")
    assert "GOMP_SPINCOUNT = '7'" in settings


def test_the_number_of_threads_is_the_machine_s_or_the_user_s() -> None:
    _, ours, _ = started()
    _, theirs, _ = started(OMP_WAIT_POLICY="ACTIVE")
    assert ours == theirs
    assert started(OMP_NUM_THREADS="1")[1] == 1

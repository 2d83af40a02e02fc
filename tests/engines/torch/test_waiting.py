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
print(torch.get_num_threads())
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks GNU's OpenMP what it read")


def started(**environment: str) -> tuple[str, int]:
    """What OpenMP says of its settings, and the number of threads."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        text=True,
        env={**kept, "OMP_DISPLAY_ENV": "VERBOSE", **environment},
        check=True,
        timeout=120,
    )
    return done.stderr, int(done.stdout)


def test_threads_sleep_while_they_wait() -> None:
    settings, _ = started()
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in settings
    assert "GOMP_SPINCOUNT = '0'" in settings


def test_what_the_user_set_stays() -> None:
    settings, _ = started(OMP_WAIT_POLICY="ACTIVE")
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in settings
    settings, _ = started(GOMP_SPINCOUNT="7")
    assert "GOMP_SPINCOUNT = '7'" in settings


def test_the_number_of_threads_is_the_machine_s_or_the_user_s() -> None:
    _, ours = started()
    _, theirs = started(OMP_WAIT_POLICY="ACTIVE")
    assert ours == theirs
    assert started(OMP_NUM_THREADS="1")[1] == 1

"""How PyTorch's threads wait for one another: asleep, not spinning.

Between two parallel pieces of a step its OpenMP threads spin by default, for tens of milliseconds.
On a machine that has other work they take the cores from the very thread that they wait for: a
small network then trains many times slower. Waiting asleep costs a wake-up per piece; what was
measured stands in docs/decisions/0006-threads-wait-asleep.md. The number of threads stays what it
is, for it decides the order of sums, and so the bytes of a result.
"""

from __future__ import annotations

import importlib
import os
import sys

_POLICY, _ASLEEP = "OMP_WAIT_POLICY", "PASSIVE"
# What else a user may have set who wants something of how threads wait.
_ASKED = (_POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


class _Policy:
    is_ours = False


def import_torch() -> None:
    """Import PyTorch so that its threads wait asleep, unless the environment asks for something.

    OpenMP reads the environment once, when it is loaded; afterwards it is as it was, so that
    no process that we start inherits anything. Does nothing if PyTorch is loaded already.
    """
    if "torch" in sys.modules or any(name in os.environ for name in _ASKED):
        return
    os.environ[_POLICY] = _ASLEEP
    try:
        # Asking for the threads makes those OpenMP libraries read it that wait for the first call.
        importlib.import_module("torch").get_num_threads()
    finally:
        del os.environ[_POLICY]
    _Policy.is_ours = True


def threads_wait_asleep() -> bool:
    """Whether they do, as far as we know: by our doing, or because the environment says so."""
    return _Policy.is_ours or os.environ.get(_POLICY, "").upper() == _ASLEEP

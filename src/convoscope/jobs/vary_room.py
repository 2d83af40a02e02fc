"""How many trainings have room side by side, and with how many threads each.

Small networks do not fill the cores: a step is many short pieces of work, between which the
threads of one training wait for each other. As many trainings as cores, with a thread each, wait
for nobody. What limits them is memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convoscope.architecture.analysis import FLOAT32_BYTES, analyse
from convoscope.data.workers import core_count
from convoscope.errors import SettingsError
from convoscope.jobs.vary_resolve import Resolved

_PROCESS_BYTES = 700 * 2**20  # Python and PyTorch, before anything is computed
_COPIES = 5  # weights, gradient, Adam's two moments, the best ones kept
_PASSES = 3  # activations, their gradients, scratch
_ON_A_GPU = 4
_CORES_PER_GPU_TRAINING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """So many trainings at a time, each with so many threads."""

    jobs: int
    threads: int


def asked_jobs(asked: str | int) -> int | None:
    """What ``--jobs`` says: a number, or ``None`` for ``auto``.

    Raises:
        SettingsError: if it is neither.
    """
    if asked == "auto":
        return None
    if str(asked).isdecimal() and int(asked) >= 1:
        return int(asked)
    raise SettingsError(
        f"--jobs: must be auto or a number of trainings at a time, got {asked!r}: leave it out"
    )


def room(asked: int | None, variants: Sequence[Resolved], *, trainings: int, device: str) -> Room:
    """As many trainings at a time as asked, or as there is room for; ``device`` is a kind."""
    cores = core_count()
    if asked is not None:
        jobs = asked
    else:
        jobs = _on_gpu(cores) if device != "cpu" else _by_memory(cores, variants)
    jobs = max(1, min(jobs, trainings))
    return Room(jobs=jobs, threads=max(1, cores // jobs))


def _on_gpu(cores: int) -> int:
    return min(_ON_A_GPU, cores // _CORES_PER_GPU_TRAINING)


def _by_memory(cores: int, variants: Sequence[Resolved]) -> int:
    free = _free_bytes()
    if free is None:
        return cores
    return min(cores, free // max(map(_bytes_of, variants)))


def _bytes_of(variant: Resolved) -> int:
    """About what one training holds at most."""
    table = analyse(variant.architecture)
    pass_bytes = _PASSES * variant.request.batch * table.activation_bytes
    return _PROCESS_BYTES + _COPIES * FLOAT32_BYTES * table.parameters + pass_bytes


def _free_bytes() -> int | None:
    """Memory that is free now, where the system says so."""
    file = Path("/proc/meminfo")
    if file.exists():
        for line in file.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return None

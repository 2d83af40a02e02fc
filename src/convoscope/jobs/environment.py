"""Where a run was made: versions of what computed, and the machine, as plain values."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from convoscope.data.workers import core_count
from convoscope.version import __version__

_LIBRARIES = ("numpy", "torch", "timm", "pillow", "opencv-python-headless", "safetensors")


def versions() -> dict[str, str]:
    """The versions of Python, of convoscope and of the libraries that touch the numbers."""
    found = {"python": platform.python_version(), "convoscope": __version__}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Operating system, processor, cores that this process may use, and memory in bytes."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": core_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", str(core_count())),
        "memory_bytes": _memory(),
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

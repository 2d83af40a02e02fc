"""Where and how exactly PyTorch computes: the device, the precision, and settings of one pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import get_args

import torch

from convoscope.errors import SettingsError, unknown_name
from convoscope.network import Precision


def choose_device(name: str) -> torch.device:
    """The device of that name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or the best for ``auto``.

    Raises:
        SettingsError: if this machine has no such device.
        UnknownNameError: if it is no name of a device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdigit()):
        raise unknown_name("device", name, ("auto", "cpu", "cuda", "mps"))
    if kind == "cuda" and not int(index or 0) < torch.cuda.device_count():
        raise SettingsError(
            f"device={name!r} needs an NVIDIA GPU that PyTorch can use, found "
            f"{torch.cuda.device_count()}: use device='cpu', or a PyTorch built for CUDA"
        )
    if kind == "mps" and not _has_mps():
        raise SettingsError(
            f"device={name!r} needs an Apple GPU that PyTorch can use, found none: use device='cpu'"
        )
    return torch.device(name)


def parameter_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of the parameters: float64 for float64, else float32.

    Raises:
        UnknownNameError: if there is no such precision.
        SettingsError: if the device cannot compute in it.
    """
    if precision not in get_args(Precision):
        raise unknown_name("precision", precision, get_args(Precision))
    if precision == "float64" and device.type == "mps":
        raise SettingsError(
            "precision='float64' needs a device that computes in it, got device='mps': "
            "use device='cpu', or float32"
        )
    return torch.float64 if precision == "float64" else torch.float32


@contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute reproducibly and as exactly as ``precision`` says, forward and backward.

    On CUDA, cuDNN is held to deterministic algorithms and, since float32 is to mean float32,
    kept from rounding its inputs to 10 bits (TF32). The process's settings come back after.
    """
    with ExitStack() as stack:
        if device.type == "cuda":
            exact = torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            )
            stack.enter_context(exact)
        if precision == "bfloat16":
            stack.enter_context(torch.autocast(device.type, dtype=torch.bfloat16))
        yield


def prefers_channels_last(device: torch.device) -> bool:
    """Whether convolutions on the device are faster with channels innermost in memory.

    oneDNN (CPU) and the tensor cores (CUDA) compute on that layout; images that are decoded as
    (N, H, W, C) then need no reordering at all.
    """
    return device.type in ("cpu", "cuda")


def _has_mps() -> bool:
    return torch.backends.mps.is_available()

"""Importing timm where torchvision, which it needs, was built for another PyTorch.

A CPU-only PyTorch has no matching torchvision on PyPI. The one that pip installs then cannot load
its compiled operators, and its import ends with ``operator torchvision::nms does not exist``,
because it describes operators that nobody has declared. Declaring them is enough: timm computes
without them.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import torch

from convoscope.errors import MissingDependencyError

_UNDECLARED = "torchvision::nms does not exist"
_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_DECLARED: list[torch.library.Library] = []  # an operator lives as long as what declared it


def import_timm() -> ModuleType:
    """The library timm, whichever torchvision is beside it.

    Raises:
        MissingDependencyError: if timm is not installed.
    """
    if "timm" not in sys.modules:
        _mend_torchvision()
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name not in ("timm", "torchvision", "safetensors", "huggingface_hub"):
            raise
        raise MissingDependencyError(
            f"an adopted backbone needs timm, and {error.name} is not installed: "
            "run  pip install 'convoscope[backbones]'"
        ) from error


def _mend_torchvision() -> None:
    """Nothing, unless torchvision's own import fails for want of its operators."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if _UNDECLARED not in str(error):
            raise
        _declare_operators()
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")


def _declare_operators() -> None:
    for name in _OPERATORS:
        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        library.define(name + _SIGNATURE)
        _DECLARED.append(library)

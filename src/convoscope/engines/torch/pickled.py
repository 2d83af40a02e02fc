"""PyTorch's own weight files, ``.pth`` and ``.pt``: the only place where ``torch.load`` is called.

They are pickles, which can run any program. They are read with ``weights_only=True`` alone:
PyTorch's reader of tensors, numbers, words and containers, which refuses everything else.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convoscope.arrays import FloatArray
from convoscope.engines.claims import check_claim
from convoscope.errors import WeightsError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema", "net")
_GLOBAL = re.compile(r"GLOBAL:? ([\w.]+\w)")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def read_arrays(path: Path) -> dict[str, FloatArray]:
    """The floating-point tensors of a state dict, float32, under their names.

    A dict that holds the state dict (``"state_dict"``, ``"model"``, ...) is opened; the prefix
    that ``DataParallel`` or ``compile`` puts before every name is taken off.

    Raises:
        WeightsError: if the file holds anything but tensors in containers, is cut short, or
            claims far more than it can hold.
    """
    state = _state_dict(_loaded(path))
    tensors = {
        name: tensor
        for name, tensor in state.items()
        if isinstance(tensor, Tensor)
        and tensor.is_floating_point()
        and (tensor.layout, tensor.device.type) == (torch.strided, "cpu")
    }
    # A tensor may be a view that repeats a few bytes many times.
    check_claim(sum(4 * tensor.numel() for tensor in tensors.values()), path.stat().st_size)
    return {name: tensor.detach().float().numpy() for name, tensor in _unprefixed(tensors)}


def _loaded(path: Path) -> Any:
    try:
        _check_archive(path)
        with warnings.catch_warnings():  # about pickles that PyTorch did not write; refused below
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"a weight file must hold tensors and nothing that runs, PyTorch's safe reader refused "
            f"{_refused(error)}: copy or download it again if it was cut short, or save "
            "model.state_dict() alone where it was made; do not load it otherwise"
        ) from error
    except WeightsError:
        raise
    except Exception as error:  # bytes that make no sense raise anything there
        raise WeightsError(
            f"a .pth or .pt file must be a whole state dict, reading it gave "
            f"{type(error).__name__} {_first_line(error)!r}: it was cut short or "
            "damaged; copy or download it again"
        ) from error


def _check_archive(path: Path) -> None:
    """Raise if the file is a zip archive that is a program, or that grows without bound."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    check_claim(sum(member.file_size for member in members), path.stat().st_size)
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise WeightsError(
            "a .pth or .pt file must hold weights, this one is TorchScript, a program: load it "
            "where it was made and save its state_dict() alone"
        )


def _refused(error: pickle.UnpicklingError) -> str:
    """What PyTorch refused, out of its long advice."""
    found = _GLOBAL.search(str(error))
    return repr(found[1]) if found else "its pickle"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:120]


def _state_dict(content: Any) -> Mapping[str, Any]:
    """The dict of tensors, wherever the file's author put it."""
    if isinstance(content, Mapping):
        if any(isinstance(value, Tensor) for value in content.values()):
            return {str(name): value for name, value in content.items()}
        for key in _WRAPPERS:
            inner = content.get(key)
            if isinstance(inner, Mapping):
                return _state_dict(inner)
    found = type(content).__name__
    if isinstance(content, Mapping):
        found = f"a dict of {', '.join(map(repr, list(content)[:5])) or 'nothing'}"
    raise WeightsError(
        f"a .pth or .pt file must hold a dict of tensors, found {found}: save model.state_dict()"
    )


def _unprefixed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The tensors without what a wrapper module puts before all their names."""
    names = list(tensors)
    for prefix in _PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    yield from zip(names, tensors.values(), strict=True)

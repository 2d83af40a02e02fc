from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convoscope.engines.torch.pickled import read_arrays
from convoscope.errors import WeightsError
from convoscope.transfer.readers import read


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    return dict(net.state_dict())


def save(content: object, file: Path, *, legacy: bool = False) -> Path:
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "pickle"])
def test_tensors_come_back_as_they_were_and_counters_do_not(
    tmp_path: Path, state: dict[str, torch.Tensor], legacy: bool
) -> None:
    foreign = read(save(state, tmp_path / "net.bin", legacy=legacy))
    assert foreign.format == "torch"
    assert list(foreign.arrays) == [name for name in state if "num_batches" not in name]
    for name, array in foreign.arrays.items():
        np.testing.assert_array_equal(array, state[name].numpy(), strict=True)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": OrderedDict(state)},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {f"module.model.{name}": t for name, t in state.items()}},
        lambda state: {
            name: nn.Parameter(t) if "weight" in name else t for name, t in state.items()
        },
    ],
    ids=["checkpoint", "model", "DataParallel", "both", "parameters"],
)
def test_a_state_dict_is_found_where_people_put_it(
    tmp_path: Path, state: dict[str, torch.Tensor], wrap: Any
) -> None:
    found = read_arrays(save(wrap(state), tmp_path / "net.pth"))
    np.testing.assert_array_equal(found["0.weight"], state["0.weight"].numpy())
    assert len(found) == 8


def test_half_precision_is_widened(tmp_path: Path) -> None:
    values = torch.tensor([1.0, -2.5, 0.15625])
    halves = {"a": values.bfloat16(), "b": values.half(), "c": values.double()}
    for array in read_arrays(save(halves, tmp_path / "net.pth")).values():
        np.testing.assert_array_equal(array, values.numpy(), strict=True)


class Harm:
    """What a malicious file holds: unpickled carelessly, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "plain pickle"])
def test_a_pickle_that_runs_something_is_refused_and_not_run(
    tmp_path: Path, state: dict[str, torch.Tensor], kind: str
) -> None:
    content = {**state, "extra": Harm(tmp_path / "harm")}
    file = tmp_path / "net.pth"
    if kind == "plain pickle":
        file.write_bytes(pickle.dumps({"extra": Harm(tmp_path / "harm")}, protocol=2))
    else:
        save(content, file, legacy=kind == "legacy")
    with pytest.raises(
        WeightsError,
        match=r"net.pth: a weight file must hold tensors and nothing that runs, PyTorch's safe "
        r"reader refused '(posix|nt).mkdir': copy or download it again if it was cut short, or",
    ):
        read(file)
    assert not (tmp_path / "harm").exists()


def test_a_whole_module_is_refused_by_its_class(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"refused 'torch.nn.modules.linear.Linear': copy"):
        read(save(nn.Linear(2, 2), tmp_path / "net.pth"))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "pickle"])
@pytest.mark.parametrize("kept", [0.1, 0.6, 0.98])
def test_a_cut_file_is_told(
    tmp_path: Path, state: dict[str, torch.Tensor], legacy: bool, kept: float
) -> None:
    file = save(state, tmp_path / "net.pth", legacy=legacy)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(WeightsError, match=r"net.pth: .* cut short") as caught:
        read(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"epoch": 3, "notes": "x"}, "found a dict of 'epoch', 'notes': save model.state_dict()"),
        ([torch.ones(2)], r"found list: save model.state_dict\(\)"),
        ({}, "found a dict of nothing"),
    ],
)
def test_what_is_no_dict_of_tensors_is_told(tmp_path: Path, content: object, found: str) -> None:
    with pytest.raises(WeightsError, match=f"must hold a dict of tensors, {found}"):
        read(save(content, tmp_path / "net.pth"))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_told(tmp_path: Path) -> None:
    script: Any = torch.jit
    script.save(script.trace(nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"weights, this one is TorchScript, a program: load it"):
        read(tmp_path / "net.pt")


def test_a_tensor_that_repeats_a_few_bytes_is_refused_before_memory_is_taken(
    tmp_path: Path,
) -> None:
    file = save({"a": torch.ones(1).expand(2**30)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=f"says that it holds {2**32}: it is damaged, or made"):
        read(file)


def test_an_archive_that_grows_without_bound_is_refused(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    file = save(state, tmp_path / "net.pth")
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/99", bytes(2**27))
    with pytest.raises(WeightsError, match=r"may unpack to 50 times its size and to 16 GiB"):
        read(file)

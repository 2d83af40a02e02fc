"""Devices and precisions: the ones there are, and a sentence for those that are not."""

from __future__ import annotations

import pytest
import torch

from convoscope.engines.torch.device import arithmetic, choose_device, parameter_dtype
from convoscope.errors import SettingsError, UnknownNameError

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is an NVIDIA GPU here")
no_mps = pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU here")


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_is_a_device_that_computes() -> None:
    assert torch.ones(2, device=choose_device("auto")).sum().item() == 2


@no_cuda
def test_a_missing_nvidia_gpu_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"device='cuda' needs an NVIDIA GPU .* found 0: use "):
        choose_device("cuda")


def test_a_gpu_that_is_one_too_many_is_refused() -> None:
    with pytest.raises(SettingsError, match="device='cuda:99' needs an NVIDIA GPU"):
        choose_device("cuda:99")


@no_mps
def test_a_missing_apple_gpu_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"device='mps' needs an Apple GPU .* found none: use "):
        choose_device("mps")


@pytest.mark.parametrize("name", ["cdua", "gpu", "cuda:x", ""])
def test_an_unknown_device_is_named(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"there is no device '{name}'"):
        choose_device(name)


def test_parameters_are_float64_for_float64_only() -> None:
    cpu = torch.device("cpu")
    assert parameter_dtype("float64", cpu) == torch.float64
    assert parameter_dtype("float32", cpu) == torch.float32
    assert parameter_dtype("bfloat16", cpu) == torch.float32


def test_an_unknown_precision_is_named_and_an_impossible_one_refused() -> None:
    with pytest.raises(UnknownNameError, match="no precision 'float23': did you mean 'float32'"):
        parameter_dtype("float23", torch.device("cpu"))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"precision='float64' needs .* got device='mps'"):
        parameter_dtype("float64", torch.device("mps"))


def test_arithmetic_gives_the_process_its_settings_back() -> None:
    before = (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32)
    with arithmetic(torch.device("cuda"), "float32"):
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.allow_tf32
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before
    with arithmetic(torch.device("cpu"), "bfloat16"):
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")

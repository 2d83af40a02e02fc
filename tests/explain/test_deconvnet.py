"""Deconvnet against Captum, against its rule by hand, and refused where there is no ReLU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Deconvolution
from tests.explain.conftest import CHAIN, SMOOTH, Build
from torch import nn

from convoscope.arrays import Array, generator
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.errors import ExplainError
from convoscope.explain import explain
from convoscope.network import ClassLogit


@pytest.mark.filterwarnings("ignore:Setting backward hooks:UserWarning")
def test_captum_finds_the_same() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    ).double()
    images = generator(3, "images").random((2, 3, 8, 8))
    network = adopt(module, input_shape=(3, 8, 8), device="cpu", precision="float64")
    found = explain(network, images, "deconvnet", [ClassLogit("class", (2, 0))])[0]
    theirs = Deconvolution(module).attribute(
        torch.from_numpy(images).requires_grad_(), target=[2, 0]
    )
    assert found.any()
    np.testing.assert_allclose(found, theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_both_engines_agree(build: Build, images: Array) -> None:
    torchs, numpys = (
        explain(build(CHAIN, engine), images, "deconvnet", [ClassLogit("class", 1)])
        for engine in ("torch", "numpy")
    )
    np.testing.assert_allclose(torchs, numpys, rtol=1e-9, atol=1e-12)


def test_a_network_without_relus_is_refused(build: Build, images: Array) -> None:
    with pytest.raises(ExplainError) as error:
        explain(build(SMOOTH), images, "deconvnet", [ClassLogit("class", 1)])
    assert str(error.value) == (
        "network 'smooth': deconvnet acts at ReLUs, and this network has none: use the method "
        "gradient"
    )

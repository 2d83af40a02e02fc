"""Choosing an engine: only the one that is asked for is imported."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, GlobalAvgPool
from convoscope.errors import UnknownNameError
from convoscope.network import HeadLoss, Optimiser

ARCHITECTURE = Architecture(
    name="t",
    input_shape=(1, 6, 6),
    layers=(Conv2d("conv", 2),),
    heads=(Head(layers=(GlobalAvgPool("mean"), Dense("dense", 3))),),
)

IMPORTS_NOTHING = """
import sys
import convoscope.engines
assert "torch" not in sys.modules
engines = ("convoscope.engines.torch", "convoscope.engines.numpy")
assert not any(name.startswith(engines) for name in sys.modules)
"""

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # as if it were not installed
from convoscope import engines
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import Conv2d
from convoscope.errors import MissingDependencyError
architecture = Architecture(name="t", input_shape=(1, 6, 6), layers=(Conv2d("conv", 2),))
try:
    engines.build(architecture)
except MissingDependencyError as error:
    print(error)
"""


def fresh(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_no_engine() -> None:
    fresh(IMPORTS_NOTHING)


def test_a_missing_pytorch_is_one_sentence() -> None:
    expected = "engine='torch' needs PyTorch, which is not installed: run  pip install torch\n"
    assert fresh(WITHOUT_TORCH) == expected


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"there is no engine 'troch': did you mean 'torch'"):
        engines.build(ARCHITECTURE, engine="troch")  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_every_engine_builds_and_learns(engine: engines.Engine) -> None:
    network = engines.build(ARCHITECTURE, engine=engine, device="cpu")
    assert network.engine == engine
    student = engines.learner(network, optimiser=Optimiser(), losses=[HeadLoss(head="class")])
    student.step(np.zeros((2, 1, 6, 6), dtype=np.uint8), {"class": np.array([0, 2])})
    np.testing.assert_allclose(student.drain_losses(), [np.log(3)], rtol=1e-6)


def test_the_names_it_offers_are_there() -> None:
    assert engines.__all__ == sorted(engines.__all__)
    assert all(hasattr(engines, name) for name in engines.__all__)

"""Seeds: the derivative of a target with respect to the array it is read from."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope.architecture.graph import Output
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array
from convoscope.engines.targets import no_logits, not_downstream, not_traced, seed
from convoscope.errors import SettingsError
from convoscope.network import Channel, ClassLogit, Neuron, Target

MAPS = np.random.default_rng(0).random((2, 3, 4, 5))
LOGITS = np.random.default_rng(1).random((2, 6))
UNIT = np.random.default_rng(2).random((2, 1))


@pytest.mark.parametrize(
    ("target", "array", "output", "values"),
    [
        (Neuron("l", 1, 2, 0), MAPS, "softmax", MAPS[:, 0, 1, 2]),
        (Neuron("l", (1, 3), 4, (0, 2)), MAPS, "softmax", [MAPS[0, 0, 1, 4], MAPS[1, 2, 3, 4]]),
        (Neuron("l", 0, 0, (5, 0)), LOGITS, "softmax", [LOGITS[0, 5], LOGITS[1, 0]]),
        (Channel("l", 1), MAPS, "softmax", MAPS[:, 1].mean(axis=(1, 2))),
        (Channel("l", (2, 0)), MAPS, "softmax", [MAPS[0, 2].mean(), MAPS[1, 0].mean()]),
        (Channel("l", 4), LOGITS, "softmax", LOGITS[:, 4]),
        (ClassLogit("h", 3), LOGITS, "softmax", LOGITS[:, 3]),
        (ClassLogit("h", (3, 0)), LOGITS, "sigmoid", [LOGITS[0, 3], LOGITS[1, 0]]),
        (ClassLogit("h", 1), UNIT, "sigmoid", UNIT[:, 0]),
        (ClassLogit("h", (0, 1)), UNIT, "sigmoid", [-UNIT[0, 0], UNIT[1, 0]]),
        (ClassLogit("h", 0), UNIT, "softmax", UNIT[:, 0]),
    ],
)
def test_a_target_is_its_seed_times_its_array(
    target: Target, array: Array, output: Output, values: Array
) -> None:
    seeds = seed(target, array.shape, output=output, dtype="float64")
    sums = (seeds * array).reshape(2, -1).sum(axis=1)
    np.testing.assert_allclose(sums, values, rtol=1e-14)


def test_seeds_are_float32_unless_asked() -> None:
    assert seed(Channel("l", 0), (2, 3, 4, 5)).dtype == np.float32


@pytest.mark.parametrize(
    ("target", "shape", "output", "message"),
    [
        (Neuron("l", 4, 0, 0), (2, 3, 4, 5), "softmax", "row must be from 0 to 3, got 4"),
        (Neuron("l", 0, 5, 0), (2, 3, 4, 5), "softmax", "column must be from 0 to 4, got 5"),
        (Neuron("l", 0, 0, -1), (2, 3, 4, 5), "softmax", "channel must be from 0 to 2, got -1"),
        (Neuron("l", 0, 1, 0), (2, 6), "softmax", "column must be from 0 to 0, got 1"),
        (Channel("l", 3), (2, 3, 4, 5), "softmax", "channel must be from 0 to 2, got 3"),
        (ClassLogit("h", (0, 6)), (2, 6), "softmax", "classes must be from 0 to 5, got 6"),
        (ClassLogit("h", 2), (2, 1), "sigmoid", "classes must be from 0 to 1, got 2"),
        (
            ClassLogit("h", (0, 1, 2)),
            (2, 6),
            "softmax",
            "classes must be one index, or one per image (2), got 3",
        ),
    ],
)
def test_an_index_out_of_range_is_one_sentence(
    target: Target, shape: Shape, output: Output, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        seed(target, shape, output=output)
    assert str(caught.value) == f"{target}: {message}"


def test_errors_say_what_to_do() -> None:
    assert "wrt='conv2', and this one does not depend on it: ask for the gradient" in str(
        not_downstream(Channel("conv1", 0), "conv2")
    )
    assert "got 'conv2' and a trace of no layers: name it in layers=[...]" in str(
        not_traced("conv2", ())
    )
    assert "the forward pass stopped at 'pool': trace without upto" in str(
        no_logits(ClassLogit("class", 0), "pool")
    )

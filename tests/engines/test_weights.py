"""Parameters by name, and the dropout masks that both engines draw."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope.architecture.branches import Parallel
from convoscope.architecture.graph import Architecture
from convoscope.architecture.layers import BatchNorm, Conv2d, MaxPool2d
from convoscope.arrays import Array
from convoscope.engines.weights import check_parameters, dropout_mask, parameter_shapes
from convoscope.errors import WeightsError

ARCHITECTURE = Architecture(
    name="t",
    input_shape=(2, 5, 5),
    layers=(
        Parallel("join", ((Conv2d("a", 3, bias=False),), (Conv2d("b", 1), BatchNorm("norm")))),
        MaxPool2d("pool"),
    ),
)
PARAMETERS: dict[str, Array] = {
    "a.weight": np.zeros((3, 2, 3, 3)),
    "b.weight": np.zeros((1, 2, 3, 3)),
    "b.bias": np.zeros(1),
    "norm.weight": np.zeros(1),
    "norm.bias": np.zeros(1),
    "norm.running_mean": np.zeros(1),
    "norm.running_var": np.zeros(1),
}


def test_shapes_are_named_by_layer_in_computing_order() -> None:
    assert parameter_shapes(ARCHITECTURE) == {n: a.shape for n, a in PARAMETERS.items()}
    assert list(parameter_shapes(ARCHITECTURE)) == list(PARAMETERS)


def test_an_architectures_own_parameters_pass() -> None:
    check_parameters(ARCHITECTURE, PARAMETERS)
    check_parameters(ARCHITECTURE, {"b.bias": np.zeros(1)}, some=True)
    check_parameters(ARCHITECTURE, {}, some=True)


@pytest.mark.parametrize(
    ("change", "some", "message"),
    [
        ({"b.bios": np.zeros(1)}, True, "there is no parameter 'b.bios': did you mean 'b.bias'?"),
        ({"pool.weight": np.zeros(1)}, False, "there is no parameter 'pool.weight'"),
        (
            {"b.bias": np.zeros((1, 1))},
            True,
            "parameter 'b.bias' must have the shape (1,), got (1, 1): give weights of the same "
            "architecture, with as many classes",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_one_sentence(
    change: dict[str, Array], some: bool, message: str
) -> None:
    with pytest.raises(WeightsError) as caught:
        check_parameters(ARCHITECTURE, PARAMETERS | change, some=some)
    assert str(caught.value).startswith(message)


def test_missing_parameters_are_counted() -> None:
    without = {name: a for name, a in PARAMETERS.items() if name != "b.bias"}
    with pytest.raises(WeightsError, match=r"got none for 'b\.bias': give weights of the same arc"):
        check_parameters(ARCHITECTURE, without)
    with pytest.raises(WeightsError, match=r"got none for 'a\.weight' and 6 more: give"):
        check_parameters(ARCHITECTURE, {})


def test_a_mask_depends_on_its_arguments_only() -> None:
    shape = (4, 8, 5, 5)
    mask = dropout_mask(1, 2, "drop", shape, 0.5)
    dropout_mask(1, 3, "drop", shape, 0.5)
    np.testing.assert_array_equal(dropout_mask(1, 2, "drop", shape, 0.5), mask)
    for other in ((2, 2, "drop"), (1, 3, "drop"), (1, 2, "drop2")):
        assert not np.array_equal(dropout_mask(*other, shape, 0.5), mask)
    assert mask.dtype == bool


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_a_mask_keeps_its_share(rate: float) -> None:
    kept = dropout_mask(0, 0, "drop", (200, 500), rate).mean()
    assert kept == pytest.approx(1 - rate, abs=4 * (rate * (1 - rate) / 1e5) ** 0.5)

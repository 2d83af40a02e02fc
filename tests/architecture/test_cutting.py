from __future__ import annotations

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.branches import Residual
from convoscope.architecture.cutting import front, parameters_of, tail
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
)
from convoscope.arrays import FloatArray, generator
from convoscope.errors import ArchitectureError, UnknownNameError
from convoscope.network import Engine, Network

NET = Architecture(
    name="net",
    input_shape=(3, 8, 8),
    layers=(
        Conv2d("conv1", 4, padding=1, activation="relu"),
        BatchNorm("norm"),
        Residual("block", (Conv2d("inner", 4, padding=1),), activation="relu"),
        MaxPool2d("pool"),
        Flatten("flat"),
        Dense("fc", 6, activation="tanh"),
        Dropout("drop"),
    ),
    heads=(
        Head(name="kind", layers=(Dense("kind-out", 3),)),
        Head(name="side", layers=(Dense("side-out", 2),)),
    ),
)
TRUNK = [layer.name for layer in NET.layers]


def images() -> FloatArray:
    return generator(0, "images").random((3, 3, 8, 8), dtype=np.float32)


def maps_of(network: Network, layer: str) -> FloatArray:
    """A layer's maps of the images, a vector as maps of one pixel."""
    with network.trace(images(), layers=[layer], upto=layer) as trace:
        maps = trace.activations[layer]
    return maps.reshape(*maps.shape[:2], *(maps.shape[2:] or (1, 1)))


@pytest.mark.parametrize("engine", ["torch", "numpy"])
@pytest.mark.parametrize("layer", TRUNK)
def test_front_and_tail_compose_to_the_whole(engine: Engine, layer: str) -> None:
    whole = engines.build(NET, engine=engine, seed=1)
    first, second = (
        engines.build(part, engine=engine, parameters=parameters_of(part, whole.parameters()))
        for part in (front(NET, layer), tail(NET, layer))
    )
    said = second.logits(maps_of(first, layer))
    for head, logits in whole.logits(images()).items():
        np.testing.assert_allclose(said[head], logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", TRUNK)
def test_the_two_share_the_parameters_out_and_keep_their_names(layer: str) -> None:
    parameters = engines.build(NET, engine="numpy").parameters()
    parts = [parameters_of(part(NET, layer), parameters) for part in (front, tail)]
    assert parts[0].keys() | parts[1].keys() == parameters.keys()
    assert not parts[0].keys() & parts[1].keys()
    for part in parts:
        for name, array in part.items():
            np.testing.assert_array_equal(array, parameters[name])


def test_a_tail_takes_the_layers_maps_and_a_vector_as_maps_of_one_pixel() -> None:
    assert tail(NET, "pool").input_shape == (4, 4, 4)
    after = tail(NET, "fc")
    assert after.input_shape == (6, 1, 1)
    assert after.layers == (Flatten("fc-vector"), Dropout("drop"))


def test_a_front_has_no_heads_and_both_say_what_they_are() -> None:
    assert front(NET, "pool").heads == ()
    assert front(NET, "pool").name == "net up to pool"
    assert tail(NET, "pool").name == "net after pool"


def test_a_cut_elsewhere_is_one_sentence() -> None:
    with pytest.raises(UnknownNameError, match="no layer 'pol': did you mean 'pool'"):
        front(NET, "pol")
    for inside in ("inner", "kind-out"):
        with pytest.raises(
            ArchitectureError,
            match=f"net: a network is cut after a layer of its trunk, '{inside}' is inside a "
            "branch or a head: cut after one of conv1, norm, block",
        ):
            tail(NET, inside)

"""A trace is made for certain gradients: those it gives, the others it refuses, on both engines."""

from __future__ import annotations

import numpy as np
import pytest

from convoscope import engines
from convoscope.architecture.branches import Parallel
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, GlobalAvgPool
from convoscope.arrays import Array, generator
from convoscope.engines.torch.tracing import TorchTrace
from convoscope.errors import SettingsError, UnknownNameError
from convoscope.network import Channel, ClassLogit, Engine, Network, Neuron, Target

SHAPE = (2, 9, 8)
NET = Architecture(
    name="net",
    input_shape=SHAPE,
    layers=(
        Conv2d("conv1", 4, padding=1, activation="relu"),
        Parallel("cat", ((Conv2d("left", 3, kernel_size=1),), (Conv2d("right", 2, padding=1),))),
        Conv2d("conv2", 4, activation="relu"),
    ),
    heads=(Head(layers=(GlobalAvgPool("mean"), Dense("logits", 3))),),
)
IMAGES = generator(0, "images").random((2, *SHAPE))
TARGETS: list[Target] = [ClassLogit("class", (1, 2)), Channel("conv2", 3), Neuron("conv2", 2, 3, 1)]


@pytest.fixture(params=["torch", "numpy"])
def network(request: pytest.FixtureRequest) -> Network:
    engine: Engine = request.param
    return engines.build(NET, engine=engine, seed=1, device="cpu", precision="float64")


def of_everything(network: Network, wrt: str) -> Array:
    with network.trace(IMAGES, layers=network.layer_names) as trace:
        return trace.gradient(TARGETS, wrt=wrt)


@pytest.mark.parametrize("wrt", [["conv1"], ["cat"], ["left", "right"], ["conv2", "conv1"]])
def test_a_trace_for_some_layers_gives_what_one_for_everything_gives(
    network: Network, wrt: list[str]
) -> None:
    with network.trace(IMAGES, layers=["conv2"], wrt=wrt) as trace:
        assert list(trace.activations) == ["conv2"]
        for layer in wrt:
            expected = of_everything(network, layer)
            np.testing.assert_allclose(trace.gradient(TARGETS, wrt=layer), expected, rtol=1e-12)
        np.testing.assert_allclose(
            trace.logits["class"], network.logits(IMAGES)["class"], rtol=1e-12
        )


def test_what_it_was_not_made_for_it_refuses(network: Network) -> None:
    with network.trace(IMAGES, layers=["conv1", "conv2"], wrt=["cat"]) as trace:
        with pytest.raises(SettingsError) as caught:
            trace.gradient(TARGETS)
        assert str(caught.value) == (
            "a gradient needs a trace that was made for it, got wrt='images' and a trace for cat: "
            "name it in wrt=[...]"
        )
        with pytest.raises(SettingsError, match="got wrt='conv1' and a trace for cat"):
            trace.gradient(TARGETS, wrt="conv1")
        with pytest.raises(UnknownNameError, match="there is no layer 'dog'"):
            trace.gradient(TARGETS, wrt="dog")
    with (
        network.trace(IMAGES, layers=["conv2"], wrt=()) as trace,
        pytest.raises(SettingsError, match="got wrt='images' and a trace for none"),
    ):
        trace.gradient(TARGETS)


def test_a_trace_for_images_gives_every_traced_layer(network: Network) -> None:
    with network.trace(IMAGES, layers=["conv2", "cat"], wrt=["images"]) as trace:
        assert trace.gradient(TARGETS, wrt="cat").any()
        with pytest.raises(SettingsError, match=r"got 'conv1' and a trace of conv2, cat: name it"):
            trace.gradient(TARGETS, wrt="conv1")


def test_layers_that_are_not_there_or_come_too_late_are_named(network: Network) -> None:
    with pytest.raises(UnknownNameError, match="there is no layer 'dog'"):
        network.trace(IMAGES, wrt=["dog"])
    with pytest.raises(SettingsError, match="'conv2' must be computed in a pass that ends"):
        network.trace(IMAGES, wrt=["conv2"], upto="cat")


def test_no_targets_give_no_gradients(network: Network) -> None:
    with network.trace(IMAGES, layers=["cat"]) as trace:
        assert trace.gradient([], wrt="cat").shape == (0, 2, 5, 9, 8)
        assert trace.gradient([]).shape == (0, 2, *SHAPE)


def test_relus_on_the_way_are_known(network: Network) -> None:
    with network.trace(IMAGES) as trace:
        assert trace.rectifies
    smooth = engines.build(
        Architecture(name="smooth", input_shape=SHAPE, layers=(Conv2d("conv", 2),)),
        engine=network.engine,
        device="cpu",
    )
    with smooth.trace(IMAGES, layers=["conv"]) as trace:
        assert not trace.rectifies


def test_pytorch_keeps_no_graph_below() -> None:
    network = engines.build(NET, seed=1, device="cpu")
    with network.trace(IMAGES, layers=["conv1", "cat", "conv2"], wrt=["cat"]) as trace:
        assert isinstance(trace, TorchTrace)
        outputs = trace._outputs
        assert not outputs["conv1"].requires_grad
        assert outputs["cat"].is_leaf
        assert outputs["conv2"].grad_fn is not None
    with network.trace(IMAGES, layers=["conv2"], wrt=()) as trace:
        assert isinstance(trace, TorchTrace)
        assert not trace._outputs["conv2"].requires_grad

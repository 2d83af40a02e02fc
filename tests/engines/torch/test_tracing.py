"""Traces: activations and gradients against autograd, and nothing left behind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from convoscope.architecture.branches import Residual
from convoscope.architecture.graph import Architecture, Head
from convoscope.architecture.layers import Conv2d, Dense, Flatten, GlobalAvgPool, MaxPool2d
from convoscope.arrays import Array
from convoscope.engines.torch.adopted.adopt import adopt
from convoscope.engines.torch.network import TorchNetwork, build
from convoscope.errors import SettingsError, UnknownNameError
from convoscope.network import Channel, ClassLogit, Neuron, Target

LAYERS = (
    Conv2d("conv1", 4, padding=1, activation="relu"),
    MaxPool2d("pool"),
    Conv2d("conv2", 5, activation="tanh"),
)
HEADS = (
    Head(name="class", layers=(Flatten("flat"), Dense("dense", 3))),
    Head(name="odd", layers=(GlobalAvgPool("mean"), Dense("odd1", 1)), output="sigmoid"),
)
TARGETS: list[Target] = [
    ClassLogit("class", (2, 0)),
    Neuron("conv2", 1, (0, 2), 3),
    Channel("conv2", (4, 0)),
    ClassLogit("odd", 1),
    Neuron("dense", 0, 0, 1),
]


@pytest.fixture
def network() -> TorchNetwork:
    architecture = Architecture(name="t", input_shape=(2, 10, 10), layers=LAYERS, heads=HEADS)
    return build(
        architecture, preprocessing=None, seed=4, parameters=None, device="cpu", precision="float64"
    )


@pytest.fixture
def images(make_images: Callable[..., Array]) -> Array:
    return make_images(2, (2, 10, 10))


def reference(network: TorchNetwork, x: Tensor) -> dict[str, Tensor]:
    """The same network written out with torch.nn.functional."""
    p = {name: torch.from_numpy(a) for name, a in network.parameters().items()}
    conv1 = functional.relu(functional.conv2d(x, p["conv1.weight"], p["conv1.bias"], padding=1))
    pool = functional.max_pool2d(conv1, 2)
    conv2 = torch.tanh(functional.conv2d(pool, p["conv2.weight"], p["conv2.bias"]))
    dense = functional.linear(conv2.flatten(1), p["dense.weight"], p["dense.bias"])
    odd = functional.linear(conv2.mean((2, 3)), p["odd1.weight"], p["odd1.bias"])
    return {"images": x, "conv1": conv1, "pool": pool, "conv2": conv2, "dense": dense, "odd": odd}


def values(maps: dict[str, Tensor]) -> list[Tensor]:
    """The targets above, summed over the images."""
    conv2, dense = maps["conv2"], maps["dense"]
    return [
        dense[0, 2] + dense[1, 0],
        conv2[0, 3, 1, 0] + conv2[1, 3, 1, 2],
        conv2[0, 4].mean() + conv2[1, 0].mean(),
        maps["odd"].sum(),
        dense[:, 1].sum(),
    ]


def test_activations_and_logits_are_the_reference_networks(
    network: TorchNetwork, images: Array
) -> None:
    maps = reference(network, torch.from_numpy(images))
    with network.trace(images, layers=["conv1", "pool", "conv2", "dense"]) as trace:
        assert list(trace.activations) == ["conv1", "pool", "conv2", "dense"]
        for layer, array in trace.activations.items():
            np.testing.assert_allclose(array, maps[layer].numpy(), rtol=1e-12)
            assert array.flags.c_contiguous
        np.testing.assert_allclose(trace.logits["class"], maps["dense"].numpy(), rtol=1e-12)
        np.testing.assert_allclose(trace.logits["odd"], maps["odd"].numpy(), rtol=1e-12)


@pytest.mark.parametrize("wrt", ["images", "conv1", "pool", "conv2"])
def test_gradients_are_autograds(network: TorchNetwork, images: Array, wrt: str) -> None:
    maps = reference(network, torch.from_numpy(images).requires_grad_())
    expected = [
        torch.autograd.grad(value, maps[wrt], retain_graph=True)[0].numpy()
        for value in values(maps)
    ]

    with network.trace(images, layers=["conv1", "pool", "conv2", "dense"]) as trace:
        got = trace.gradient(TARGETS, wrt=wrt)

    assert got.shape == (5, *maps[wrt].shape)
    np.testing.assert_allclose(got, np.stack(expected), rtol=1e-10, atol=1e-14)


def test_class_0_of_a_single_sigmoid_unit_is_the_opposite_of_class_1(
    network: TorchNetwork, images: Array
) -> None:
    with network.trace(images) as trace:
        no, yes, mixed = trace.gradient(
            [ClassLogit("odd", 0), ClassLogit("odd", 1), ClassLogit("odd", (0, 1))]
        )
    np.testing.assert_array_equal(no, -yes)
    np.testing.assert_array_equal(mixed, np.stack([no[0], yes[1]]))


def test_no_targets_give_no_gradients(network: TorchNetwork, images: Array) -> None:
    with network.trace(images, layers=["conv1"]) as trace:
        assert trace.gradient([], wrt="conv1").shape == (0, 2, 4, 10, 10)


def test_the_way_back_ends_at_wrt(network: TorchNetwork, images: Array) -> None:
    """Below ``wrt`` nothing is computed: a way back that would fail there does not."""
    with network.trace(images, layers=["conv1", "conv2"]) as trace:
        below = trace._outputs["conv1"].grad_fn
        assert below is not None
        below.register_prehook(_refuse)
        trace.gradient([ClassLogit("class", 0)], wrt="conv2")
        trace.gradient([ClassLogit("class", 0)], wrt="conv1")
        with pytest.raises(RuntimeError, match="below conv1"):
            trace.gradient([ClassLogit("class", 0)])


def _refuse(grads: Any) -> None:
    raise RuntimeError("computed below conv1")


def test_upto_ends_the_pass_there(network: TorchNetwork, images: Array) -> None:
    network.module.named["conv2"].forward = None  # type: ignore[assignment]  # cannot be computed
    with network.trace(images, layers=["conv1"], upto="pool") as trace:
        assert trace.logits == {}
        assert list(trace.activations) == ["conv1"]
        assert trace.gradient([Channel("conv1", 1)]).shape == (1, 2, 2, 10, 10)
        with pytest.raises(SettingsError, match="stopped at 'pool': trace without upto"):
            trace.gradient([ClassLogit("class", 0)])


def test_a_relu_layer_that_overwrites_its_input_leaves_the_trace_of_that_input_alone(
    images: Array,
) -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True), nn.Flatten())
    network = adopt(module, input_shape=(2, 10, 10), device="cpu", precision="float64")
    with network.trace(images, layers=["0", "1"]) as trace:
        assert trace.activations["0"].min() < 0
        np.testing.assert_array_equal(np.maximum(trace.activations["0"], 0), trace.activations["1"])
        got = trace.gradient([Channel("1", 0)], wrt="0")[0, :, 0] * 64
    np.testing.assert_allclose(got, trace_positive(network, images))


def trace_positive(network: TorchNetwork, images: Array) -> Array:
    with network.trace(images, layers=["0"]) as trace:
        return (trace.activations["0"][:, 0] > 0).astype(float)


def photograph(module: nn.Module) -> dict[str, Any]:
    """All that looking must not change."""
    return {
        "bytes": {name: t.detach().numpy().tobytes() for name, t in module.state_dict().items()},
        "learns": {name: p.requires_grad for name, p in module.named_parameters()},
        "grads": {name: p.grad for name, p in module.named_parameters()},
        "modes": {name: m.training for name, m in module.named_modules()},
        "hooks": {
            name: [
                len(m._forward_hooks),
                len(m._forward_pre_hooks),
                len(m._backward_hooks),
                len(m._forward_hooks_always_called),
                len(m._backward_pre_hooks),
            ]
            for name, m in module.named_modules()
        },
        "modules": {
            name: (id(m), type(m), sorted(m.__dict__)) for name, m in module.named_modules()
        },
        "grad mode": torch.is_grad_enabled(),
        "functions": torch._C._len_torch_function_stack(),
        "random": torch.get_rng_state().numpy().tobytes(),
    }


def test_looking_leaves_no_trace(network: TorchNetwork, images: Array) -> None:
    before, pixels = photograph(network.module), copy.deepcopy(images)
    with network.trace(images, layers=["conv1", "conv2", "dense"]) as trace:
        trace.gradient(TARGETS, relu_rule="guided")
        trace.gradient(TARGETS, wrt="conv1")
        assert photograph(network.module) == before  # not even inside the block
    network.trace(images, layers=["conv1"], upto="conv1")
    assert photograph(network.module) == before
    np.testing.assert_array_equal(images, pixels)


def test_a_failure_in_the_middle_leaves_no_trace(network: TorchNetwork, images: Array) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise FloatingPointError("in the middle")

    network.module.named["conv2"] = Broken()
    before = photograph(network.module)
    with pytest.raises(FloatingPointError, match="in the middle"):
        network.trace(images, layers=["conv1", "pool"])
    with network.trace(images, layers=["conv1", "pool"], upto="pool") as trace:
        with pytest.raises(SettingsError):
            trace.gradient([Neuron("pool", 99, 0, 0)])
        with pytest.raises(ZeroDivisionError), network.trace(images, upto="pool"):
            raise ZeroDivisionError
    assert photograph(network.module) == before


def test_a_trace_works_inside_no_grad_and_inference_mode(
    network: TorchNetwork, images: Array
) -> None:
    with network.trace(images) as trace:
        expected = trace.gradient([ClassLogit("class", 0)])
    for outside in (torch.no_grad(), torch.inference_mode()):
        with outside, network.trace(images) as trace:
            np.testing.assert_array_equal(trace.gradient([ClassLogit("class", 0)]), expected)


def test_what_is_read_belongs_to_the_reader(network: TorchNetwork, images: Array) -> None:
    with network.trace(images, layers=["conv1"]) as trace:
        before = trace.gradient([ClassLogit("class", 0)], wrt="images")
        trace.activations["conv1"][:] = 0
        np.testing.assert_array_equal(trace.gradient([ClassLogit("class", 0)]), before)


def test_neurons_inside_branches_can_be_asked(images: Array) -> None:
    branching = Residual(
        "join", (Conv2d("inner", 2, padding=1),), shortcut=(Conv2d("side", 2, kernel_size=1),)
    )
    architecture = Architecture(name="t", input_shape=(2, 10, 10), layers=(branching,))
    network = build(
        architecture, preprocessing=None, seed=0, parameters=None, device="cpu", precision="float64"
    )
    with network.trace(images, layers=["inner", "side", "join"]) as trace:
        ones = trace.gradient([Neuron("join", 3, 4, 1)], wrt="inner")[0]
        assert ones.sum() == 2
        assert ones[:, 1, 3, 4].tolist() == [1, 1]
        with pytest.raises(SettingsError, match="downstream of wrt='side'"):
            trace.gradient([Neuron("inner", 3, 4, 1)], wrt="side")


@pytest.mark.parametrize(
    ("target", "wrt", "kind", "message"),
    [
        (
            ClassLogit("class", 3),
            "images",
            SettingsError,
            "ClassLogit(head='class', classes=3): classes must be from 0 to 2, got 3",
        ),
        (ClassLogit("odd", 2), "images", SettingsError, "classes must be from 0 to 1, got 2"),
        (
            ClassLogit("class", (0, 1, 2)),
            "images",
            SettingsError,
            "classes must be one index, or one per image (2), got 3",
        ),
        (
            ClassLogit("clas", 0),
            "images",
            UnknownNameError,
            "there is no head 'clas': did you mean 'class'?",
        ),
        (Neuron("conv1", 10, 0, 0), "images", SettingsError, "row must be from 0 to 9, got 10"),
        (Neuron("conv1", 0, -1, 0), "images", SettingsError, "column must be from 0 to 9, got -1"),
        (Channel("conv1", 4), "images", SettingsError, "channel must be from 0 to 3, got 4"),
        (Neuron("dense", 1, 0, 0), "images", SettingsError, "row must be from 0 to 0, got 1"),
        (
            Channel("conv9", 0),
            "images",
            UnknownNameError,
            "there is no layer 'conv9': did you mean 'conv",
        ),
        (
            Channel("pool", 0),
            "images",
            SettingsError,
            "got 'pool' and a trace of conv1, conv2, dense: name it in layers=[...]",
        ),
        (Channel("conv1", 0), "pool", SettingsError, "name it in layers=[...]"),
        (Channel("conv1", 0), "conv3", UnknownNameError, "there is no layer 'conv3'"),
        (
            Channel("conv1", 0),
            "conv2",
            SettingsError,
            "a target must lie downstream of wrt='conv2', and this one does not depend on it",
        ),
    ],
)
def test_an_impossible_question_is_one_sentence(
    network: TorchNetwork,
    images: Array,
    target: Target,
    wrt: str,
    kind: type[Exception],
    message: str,
) -> None:
    with (
        network.trace(images, layers=["conv1", "conv2", "dense"]) as trace,
        pytest.raises(kind) as caught,
    ):
        trace.gradient([target], wrt=wrt)
    assert message in str(caught.value)


def test_layers_that_are_not_there_or_come_too_late_are_named(
    network: TorchNetwork, images: Array
) -> None:
    with pytest.raises(UnknownNameError, match="there is no layer 'pol': did you mean 'pool'"):
        network.trace(images, layers=["pol"])
    with pytest.raises(UnknownNameError, match="there is no layer 'pol'"):
        network.trace(images, upto="pol")
    with pytest.raises(SettingsError, match="'conv2' must be computed in a pass that ends at 'po"):
        network.trace(images, layers=["conv2"], upto="pool")


def test_a_trace_that_has_ended_says_so(network: TorchNetwork, images: Array) -> None:
    with network.trace(images, layers=["conv1"]) as trace:
        pass
    for read in (
        lambda: trace.activations,
        lambda: trace.logits,
        lambda: trace.gradient([ClassLogit("class", 0)]),
    ):
        with pytest.raises(SettingsError, match="inside its with block only"):
            read()

"""Names are checked against the libraries themselves, whose networks are made without weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from convoscope.architecture.graph import Architecture
from convoscope.architecture.zoo.classic import vgg11, vgg16, vgg19
from convoscope.architecture.zoo.mobile import mobilenet_v2, squeezenet1_0
from convoscope.engines.torch.adopted.torchvision_import import import_timm
from convoscope.transfer.naming import layer_names
from convoscope.transfer.naming.slots import slots

IMAGE = (3, 224, 224)
timm: Any = import_timm()
torchvision = pytest.importorskip("torchvision")


def theirs(make: Callable[[], Any]) -> dict[str, int]:
    """Their parameters and how many values each has, in computing order, without counters."""
    with torch.device("meta"):
        state = make().state_dict()
    return {name: t.numel() for name, t in state.items() if t.is_floating_point()}


VGG: dict[str, Any] = {"vgg11": vgg11, "vgg16": vgg16, "vgg19": vgg19}
CASES: dict[str, tuple[Architecture, Any, Callable[[], Any]]] = {
    "torchvision squeezenet1_0": (
        squeezenet1_0(IMAGE),
        layer_names.torchvision_squeezenet,
        partial(torchvision.models.get_model, "squeezenet1_0"),
    ),
    "torchvision mobilenet_v2": (
        mobilenet_v2(IMAGE),
        layer_names.torchvision_mobilenet,
        partial(torchvision.models.get_model, "mobilenet_v2"),
    ),
    "timm mobilenetv2_100": (
        mobilenet_v2(IMAGE),
        layer_names.timm_mobilenet,
        partial(timm.create_model, "mobilenetv2_100"),
    ),
    **{
        f"torchvision {name}": (
            build(IMAGE),
            layer_names.torchvision_vgg,
            partial(torchvision.models.get_model, name),
        )
        for name, build in VGG.items()
    },
    **{
        f"timm {name}": (build(IMAGE), layer_names.timm_vgg, partial(timm.create_model, name))
        for name, build in VGG.items()
    },
}


@pytest.mark.parametrize(("ours", "name", "make"), CASES.values(), ids=CASES)
def test_every_parameter_of_the_library_is_named_and_no_other(
    ours: Architecture, name: Any, make: Callable[[], Any]
) -> None:
    layers = name(ours)
    found = {f"{layers[s.layer.name]}.{s.parameter}": math.prod(s.shape) for s in slots(ours)}
    assert found == theirs(make)


def test_keras_numbers_each_kind_of_layer_by_itself() -> None:
    names = layer_names.keras_numbers(mobilenet_v2(IMAGE))
    assert [names[layer] for layer in ("Conv1", "bn_Conv1", "expanded_conv_depthwise")] == [
        "conv2d",
        "batch_normalization",
        "depthwise_conv2d",
    ]
    assert names["Conv_1"] == "conv2d_34"
    assert names["block_16_depthwise"] == "depthwise_conv2d_16"
    assert names["Conv_1_bn"] == "batch_normalization_51"
    assert names["predictions"] == "dense"


def test_tensorflow_lite_counts_every_operation() -> None:
    names = layer_names.tflite_mobilenet(mobilenet_v2(IMAGE, norm="folded"))
    assert (names["block_2_project"], names["block_3_expand"]) == ("008", "010")
    assert (names["Conv_1"], names["predictions"]) == ("061", "063")


def test_caffe_puts_a_slash_after_the_module() -> None:
    net = squeezenet1_0(IMAGE)
    assert layer_names.caffe_squeezenet(net)["fire2_squeeze1x1"] == "fire2/squeeze1x1"
    compressed = layer_names.caffe_compressed_squeezenet(net)
    assert [compressed[n] for n in ("conv1", "fire9_expand3x3", "conv10")] == [
        "conv1",
        "fire9/conv3x3_2",
        "conv_final",
    ]

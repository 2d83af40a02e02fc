"""What others call the layers of our networks: one function for each way of naming.

Each gives ``{our layer: their layer}`` for the layers of a network that have parameters; where a
framework numbers its modules, the numbers are counted along our layers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.layers import Conv2d, MaxPool2d

VGG_TOP = ("fc1", "fc2", "predictions")
_FIRE = re.compile(r"fire(\d+)_(squeeze1x1|expand1x1|expand3x3)")
_BLOCK = re.compile(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?")
_KERAS_KINDS = {"batch_norm": "batch_normalization", "separable_conv2d": "separable_conv2d"}
# Blocks per stage of MobileNetV2, the first stage being the one that does not widen.
_STAGES = (1, 2, 3, 4, 3, 3, 1)


def own(architecture: Architecture) -> Mapping[str, str]:
    """The same names."""
    return {name: name for name in _named(architecture)}


def keras_numbers(architecture: Architecture) -> Mapping[str, str]:
    """Keras 3: each kind of layer is numbered by itself, ``conv2d``, ``conv2d_1``, ..."""
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for place in walk(architecture):
        layer = place.layer
        if not layer.parameter_shapes(place.input_shape):
            continue
        kind = _KERAS_KINDS.get(layer.kind, layer.kind)
        if isinstance(layer, Conv2d) and layer.groups == place.input_shape[0] > 1:
            kind = "depthwise_conv2d"
        names[layer.name] = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
    return names


def torchvision_vgg(architecture: Architecture) -> Mapping[str, str]:
    """``features.N``, where ReLUs and poolings count, then ``classifier.0``, ``.3`` and ``.6``."""
    numbers = ("classifier.0", "classifier.3", "classifier.6")
    return _vgg_features(architecture) | dict(zip(VGG_TOP, numbers, strict=True))


def timm_vgg(architecture: Architecture) -> Mapping[str, str]:
    """``features`` as in torchvision, then dense layers written as convolutions over whole maps."""
    names = ("pre_logits.fc1", "pre_logits.fc2", "head.fc")
    return _vgg_features(architecture) | dict(zip(VGG_TOP, names, strict=True))


def _vgg_features(architecture: Architecture) -> dict[str, str]:
    names, number = {}, 0
    for place in walk(architecture):
        if isinstance(place.layer, Conv2d):
            names[place.layer.name] = f"features.{number}"
            number += 2  # its ReLU is a module of its own
        elif isinstance(place.layer, MaxPool2d):
            number += 1
    return names


def caffe_squeezenet(architecture: Architecture) -> Mapping[str, str]:
    """The authors' prototxt: ``fire2/squeeze1x1``."""
    return {name: name.replace("_", "/", 1) for name in _named(architecture)}


def caffe_compressed_squeezenet(architecture: Architecture) -> Mapping[str, str]:
    """The prototxt of the compressed network: ``fire2/conv1x1_1``, ``conv_final``."""
    words = {"squeeze1x1": "conv1x1_1", "expand1x1": "conv1x1_2", "expand3x3": "conv3x3_2"}
    names = {"conv10": "conv_final"}
    for name in _named(architecture):
        fire = _FIRE.fullmatch(name)
        names[name] = f"fire{fire[1]}/{words[fire[2]]}" if fire else names.get(name, name)
    return names


def torchvision_squeezenet(architecture: Architecture) -> Mapping[str, str]:
    """``features.3.squeeze``: the module's number, where ReLUs and poolings count."""
    names = {"conv1": "features.0", "conv10": "classifier.1"}
    number = 2  # the first convolution and its ReLU
    for place in walk(architecture):
        fire = _FIRE.fullmatch(place.layer.name)
        if fire:
            names[place.layer.name] = (
                f"features.{number}.{fire[2].replace('squeeze1x1', 'squeeze')}"
            )
        is_module = place.layer.kind in ("max_pool2d", "parallel") and place.head is None
        number += is_module
    return names


def tflite_mobilenet(architecture: Architecture) -> Mapping[str, str]:
    """The number of the operation, in the order of computing; additions and poolings count."""
    names, number = {}, 0
    for place in walk(architecture):
        if place.layer.kind in ("conv2d", "dense"):
            names[place.layer.name] = f"{number:03d}"
        number += place.layer.kind in ("conv2d", "dense", "residual", "global_avg_pool")
    return names


def torchvision_mobilenet(architecture: Architecture) -> Mapping[str, str]:
    """``features.2.conv.1.0``: the block, its unit, and in it the convolution or the norm."""
    names = {
        "Conv1": "features.0.0", "bn_Conv1": "features.0.1",
        "Conv_1": "features.18.0", "Conv_1_bn": "features.18.1", "predictions": "classifier.1",
    }  # fmt: skip
    for name in _named(architecture):
        block = _BLOCK.fullmatch(name)
        if block is None:
            continue
        number = int(block[1] or 0)
        units = ("expand", "depthwise", "project") if number else ("depthwise", "project")
        unit, is_norm = units.index(block[2]), bool(block[3])
        # The last unit has no activation, so its convolution and norm are not wrapped.
        inner = f"{unit + is_norm}" if block[2] == "project" else f"{unit}.{int(is_norm)}"
        names[name] = f"features.{number + 1}.conv.{inner}"
    return names


def timm_mobilenet(architecture: Architecture) -> Mapping[str, str]:
    """``blocks.1.0.conv_pw``: the stage, the block in it, and what the block calls its parts."""
    names = {
        "Conv1": "conv_stem", "bn_Conv1": "bn1",
        "Conv_1": "conv_head", "Conv_1_bn": "bn2", "predictions": "classifier",
    }  # fmt: skip
    places = [(stage, i) for stage, count in enumerate(_STAGES) for i in range(count)]
    for name in _named(architecture):
        block = _BLOCK.fullmatch(name)
        if block is None:
            continue
        number = int(block[1] or 0)
        parts: Mapping[str, tuple[str, str]] = (
            {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"),
             "project": ("conv_pwl", "bn3")}
            if number
            else {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}
        )  # fmt: skip
        stage, i = places[number]
        names[name] = f"blocks.{stage}.{i}.{parts[block[2]][bool(block[3])]}"
    return names


def _named(architecture: Architecture) -> tuple[str, ...]:
    """The layers that have parameters."""
    return tuple(
        place.layer.name
        for place in walk(architecture)
        if place.layer.parameter_shapes(place.input_shape)
    )

"""Where weights of the networks that we know come from: names, layouts, preprocessing, rendering.

An origin is a way in which somebody publishes a network. The same network is trained on other
pixels by each (Keras' VGG sees BGR minus a mean, torchvision's sees RGB divided by a spread), and
some differ in what they compute (where MobileNetV2 pads), so an origin says that, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from convoscope.architecture.graph import Architecture
from convoscope.architecture.protocol import Shape
from convoscope.architecture.zoo.classic import vgg11, vgg16, vgg19
from convoscope.architecture.zoo.mobile import NormName, mobilenet_v2, squeezenet1_0
from convoscope.data.preprocessing import Preprocessing
from convoscope.transfer.naming import layer_names
from convoscope.transfer.naming.dialects import KERAS, TFLITE, TORCH, Dialect

WIDTHS = (1.0, 0.35, 0.5, 0.75, 1.3, 1.4)
"""The widths at which MobileNetV2 is published."""

_TORCH = Preprocessing(
    size=(224, 224), resize="crop", mean=(0.485, 0.456, 0.406), sd=(0.229, 0.224, 0.225)
)
"""https://docs.pytorch.org/vision/stable/models.html"""

_CAFFE = Preprocessing(
    size=(224, 224),
    order="bgr",
    mean=(103.939 / 255, 116.779 / 255, 123.68 / 255),
    sd=(1 / 255,),
)
"""BGR from 0 to 255 minus ImageNet's mean; keras.applications' mode "caffe"."""

_CAFFE_227 = replace(_CAFFE, size=(227, 227), resize="crop", mean=(104 / 255, 117 / 255, 123 / 255))
"""Caffe's mean file, rounded as the SqueezeNet authors have it."""

_SIGNED = Preprocessing(size=(224, 224), mean=(0.5,), sd=(0.5,))
"""From -1 to 1; keras.applications' mode "tf"."""

_QUANTISED = replace(_SIGNED, mean=(128 / 255,), sd=(128 / 255,))
"""``(v - 128) / 128``: the input's zero point and scale in the TF Lite file."""


Build: TypeAlias = Callable[[Shape], Architecture]
Builds: TypeAlias = tuple[Build, ...]
_Layers: TypeAlias = Callable[[Architecture], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A way of publishing a network.

    ``layers`` gives ``{our layer: their layer}``; ``builds`` are the renderings to try, the usual
    one first.
    """

    name: str
    layers: _Layers
    dialect: Dialect
    preprocessing: Preprocessing | None
    builds: Builds


def _keras(
    layers: _Layers, preprocessing: Preprocessing | None, builds: Builds
) -> tuple[Origin, ...]:
    """Keras' files, which name layers or, where they do not, number them."""
    named = Origin(
        name="keras", layers=layers, dialect=KERAS, preprocessing=preprocessing, builds=builds
    )
    numbered = replace(named, name="keras (numbered)", layers=layer_names.keras_numbers)
    return named, numbered


def _torch(name: str, layers: _Layers, builds: Builds) -> Origin:
    """What is trained with PyTorch on ImageNet as everybody normalises it there."""
    return Origin(name=name, layers=layers, dialect=TORCH, preprocessing=_TORCH, builds=builds)


def _ours(builds: Builds) -> Origin:
    """Parameters as we write them, which do not say what they were trained on."""
    return Origin(
        name="convoscope",
        layers=layer_names.own,
        dialect=TORCH,
        preprocessing=None,
        builds=builds,
    )


def _vgg(build: Build) -> tuple[Origin, ...]:
    return (
        *_keras(layer_names.own, _CAFFE, (build,)),
        _torch("torchvision", layer_names.torchvision_vgg, (build,)),
        _torch("timm", layer_names.timm_vgg, (build,)),
        _ours((build,)),
    )


def _squeezenet() -> tuple[Origin, ...]:
    padded = partial(squeezenet1_0, final_padding=1)
    caffe = Origin(
        name="caffe",
        layers=layer_names.caffe_squeezenet,
        dialect=TORCH,
        preprocessing=_CAFFE_227,
        builds=(padded,),
    )
    return (
        _torch("torchvision", layer_names.torchvision_squeezenet, (squeezenet1_0,)),
        caffe,
        replace(
            caffe,
            name="caffe (compressed)",
            layers=layer_names.caffe_compressed_squeezenet,
        ),
        _ours((squeezenet1_0, padded)),
    )


def _mobilenet() -> tuple[Origin, ...]:
    def builds(norm: NormName) -> Builds:
        return tuple(partial(mobilenet_v2, norm=norm, width=width) for width in WIDTHS)

    return (
        *_keras(layer_names.own, _SIGNED, builds("keras")),
        _torch("torchvision", layer_names.torchvision_mobilenet, builds("torch")),
        _torch("timm", layer_names.timm_mobilenet, builds("torch")),
        Origin(
            name="tensorflow lite",
            layers=layer_names.tflite_mobilenet,
            dialect=TFLITE,
            preprocessing=_QUANTISED,
            builds=builds("folded"),
        ),
        _ours((*builds("keras"), *builds("folded"))),
    )


ORIGINS: dict[str, tuple[Origin, ...]] = {
    "vgg11": _vgg(vgg11),
    "vgg16": _vgg(vgg16),
    "vgg19": _vgg(vgg19),
    "squeezenet1_0": _squeezenet(),
    "mobilenet_v2": _mobilenet(),
}
"""By the name of the network; where two explain a file alike, the first one counts."""

ANY: tuple[Origin, ...] = (*_keras(layer_names.own, None, ()), _ours(()))
"""For networks that are not in the table: what Keras and we ourselves would call their layers."""

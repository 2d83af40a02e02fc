"""The pretrained backbones: what each is, what it is shown, and where its weights come from.

VGG, SqueezeNet and MobileNetV2 are networks of our own zoo with foreign weights in them, so that
receptive fields, patches and the NumPy engine work on them too. The others are timm's modules,
adopted as they are. ``timm:NAME`` is any other network of timm's, DINOv2 included.

Nothing here needs PyTorch, or the network: a row is what is known beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from convoscope import engines
from convoscope.architecture.protocol import Shape
from convoscope.data.preprocessing import Preprocessing
from convoscope.engines.published import Published
from convoscope.errors import unknown_name

ZOO: Final = "zoo/"
TIMM: Final = "timm:"

_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's training images, per RGB channel, of values in [0, 1]."""

_BSD = "BSD-3-Clause"
_APACHE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where weights are to be had.

    ``urls`` all lead to the same file, whose SHA-256 begins with ``sha256``. ``hub`` is a
    repository on the Hugging Face hub, tried where there is no ``url``; its hash is not known
    beforehand (:mod:`convoscope.transfer.hub`).
    """

    urls: tuple[str, ...] = ()
    sha256: str = ""
    hub: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A pretrained network.

    ``source`` is ``"zoo/NAME"`` of our own zoo, or ``"timm/NAME.TAG"``. ``input_shape`` and
    ``preprocessing`` are those that the weights of ``origin`` were trained with; weights from
    another origin may bring their own. ``parameters`` counts the top too, ``classes`` is 0 where
    there is none, and ``features`` is the layer at which the trunk ends.
    """

    name: str
    source: str
    input_shape: Shape
    preprocessing: Preprocessing
    parameters: int
    classes: int
    features: str
    licence: str
    origin: Origin

    @property
    def is_ours(self) -> bool:
        """Whether it is a network of our zoo, layer by layer, or an adopted module."""
        return self.source.startswith(ZOO)


def _row(
    name: str,
    source: str,
    side: int,
    *,
    mean: tuple[float, ...] = _MEAN,
    sd: tuple[float, ...] = _SD,
    parameters: int,
    features: str,
    licence: str,
    origin: Origin,
) -> Backbone:
    """A row of the table: square RGB images, ImageNet's thousand classes."""
    return Backbone(
        name=name,
        source=source,
        input_shape=(3, side, side),
        preprocessing=Preprocessing(size=(side, side), resize="crop", mean=mean, sd=sd),
        parameters=parameters,
        classes=1000,
        features=features,
        licence=licence,
        origin=origin,
    )


def _torchvision(file: str) -> Origin:
    """A file of torchvision's, whose name bears the beginning of its SHA-256."""
    digest = file.removesuffix(".pth").rpartition("-")[2]
    return Origin(urls=(f"https://download.pytorch.org/models/{file}",), sha256=digest)


BACKBONES: dict[str, Backbone] = {
    row.name: row
    for row in (
        _row(
            "vgg19",
            "zoo/vgg19",
            224,
            parameters=143_667_240,
            features="block5_pool",
            licence=_BSD,
            origin=_torchvision("vgg19-dcbb9e9d.pth"),
        ),
        _row(
            "vgg16",
            "zoo/vgg16",
            224,
            parameters=138_357_544,
            features="block5_pool",
            licence=_BSD,
            origin=_torchvision("vgg16-397923af.pth"),
        ),
        _row(
            "resnet50",
            "timm/resnet50.tv_in1k",
            224,
            parameters=25_557_032,
            features="layer4",
            licence=_BSD,
            origin=_torchvision("resnet50-0676ba61.pth"),
        ),
        _row(
            "inception_v3",
            "timm/inception_v3.tv_in1k",
            299,
            mean=(0.5, 0.5, 0.5),
            sd=(0.5, 0.5, 0.5),
            parameters=23_834_568,
            features="Mixed_7c",
            licence=_APACHE,
            origin=_torchvision("inception_v3_google-0cc3c7bd.pth"),
        ),
        _row(
            "inception_resnet_v2",
            "timm/inception_resnet_v2.tf_in1k",
            299,
            mean=(0.5, 0.5, 0.5),
            sd=(0.5, 0.5, 0.5),
            parameters=55_843_464,
            features="conv2d_7b",
            licence=_APACHE,
            origin=Origin(hub="timm/inception_resnet_v2.tf_in1k"),
        ),
        _row(
            "xception",
            "timm/legacy_xception.tf_in1k",
            299,
            mean=(0.5, 0.5, 0.5),
            sd=(0.5, 0.5, 0.5),
            parameters=22_855_952,
            features="act4",
            licence=_APACHE,
            origin=Origin(
                urls=(
                    "https://github.com/huggingface/pytorch-image-models/releases/download/"
                    "v0.1-cadene/xception-43020ad28.pth",
                ),
                sha256="43020ad28",
            ),
        ),
        _row(
            "squeezenet1_0",
            "zoo/squeezenet1_0",
            224,
            parameters=1_248_424,
            features="fire9_concat",
            licence=_BSD,
            origin=_torchvision("squeezenet1_0-b66bff10.pth"),
        ),
        _row(
            "mobilenet_v2",
            "zoo/mobilenet_v2",
            224,
            parameters=3_504_872,
            features="out_relu",
            licence=_BSD,
            origin=_torchvision("mobilenet_v2-b0353104.pth"),
        ),
    )
}
"""Every backbone that has a name of its own; the pins are those of its publisher."""


def backbone(name: str) -> Backbone:
    """The backbone of that name: of the table, or ``timm:NAME``, with or without timm's tag.

    Raises:
        UnknownNameError: if there is none; names the nearest.
        MissingDependencyError: if it is timm's and timm is not installed.
    """
    if name.startswith(TIMM):
        return _described(engines.published(name.removeprefix(TIMM)))
    if name not in BACKBONES:
        raise unknown_name("backbone", name, [*BACKBONES, f"{TIMM}NAME"])
    return BACKBONES[name]


def _described(found: Published) -> Backbone:
    """What timm says, as a row. Its tag is part of the name, lest another default change it."""
    return Backbone(
        name=TIMM + found.source.partition("/")[2],
        source=found.source,
        input_shape=found.input_shape,
        preprocessing=Preprocessing(
            size=(found.input_shape[1], found.input_shape[2]),
            resize="crop",
            mean=found.mean,
            sd=found.sd,
        ),
        parameters=found.parameters,
        classes=found.classes,
        features=found.features,
        licence=found.licence or "not stated",
        origin=Origin(hub=found.hub, urls=(found.url,) if found.url else ()),
    )

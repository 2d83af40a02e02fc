"""What the publisher of a network says of it: plain values, before anything is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture
from convoscope.architecture.protocol import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A pretrained network as its library describes it.

    ``source`` names it for good (``"timm/resnet18.a1_in1k"``). ``mean`` and ``sd`` are per RGB
    channel, of values in [0, 1]. ``classes`` is 0 where it ends without a classifier, and
    ``features`` the module whose output is what its classifier would be given. ``hub`` is the
    repository of its weights on the Hugging Face hub and ``url`` another address of them, each
    empty where there is none. ``parameters`` counts all, the classifier's too.
    """

    source: str
    input_shape: Shape
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    classes: int
    features: str
    parameters: int
    licence: str
    hub: str
    url: str


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An architecture with an adopted layer, and the shapes of all its parameters and buffers,
    which the layer itself does not tell.
    """

    architecture: Architecture
    shapes: dict[str, Shape]


@dataclass(frozen=True, slots=True)
class Split:
    """A published network in two layers, of which the second goes on from what the first gives,
    and the names (``"path.parameter"``) of each one's parameters and buffers.
    """

    front: Adopted
    front_names: tuple[str, ...]
    rest: Adopted
    rest_names: tuple[str, ...]

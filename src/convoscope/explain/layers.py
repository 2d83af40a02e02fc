"""Which layers can be looked at, and which one shows best what decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final

from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture, unknown_layer, walk
from convoscope.architecture.layers import AvgPool2d, Dropout, Flatten, MaxPool2d
from convoscope.architecture.protocol import Shape
from convoscope.arrays import FloatArray, generator
from convoscope.errors import ExplainError, SettingsError
from convoscope.network import Channel, ClassLogit, Network, Neuron, Target, Trace

_MOST_VECTORS: Final = 3
"""Among how many vectors what a head is given is looked for."""

_FEW_VECTORS: Final = 20
_FEW_VECTORS_PER_MAP: Final = 4
"""What a head may have: so many layers, or for each layer of maps so many, that give vectors."""


def map_layers(network: Network) -> tuple[str, ...]:
    """The layers that give maps (C, h, w), in computing order."""
    return tuple(layer for layer, shape in network.layer_shapes.items() if len(shape) == 3)


def answering_layers(network: Network) -> tuple[str, ...]:
    """The layers that give maps, and those of our own that give a vector and do more than rearrange
    what they are given; in computing order.
    """
    rearranging = (Flatten, Dropout)
    own = {
        place.layer.name
        for place in walk(network.architecture)
        if place.depth == 0 and not isinstance(place.layer, rearranging)
    }
    shapes = network.layer_shapes
    return tuple(layer for layer, shape in shapes.items() if len(shape) == 3 or layer in own)


def map_shape(network: Network, layer: str) -> Shape:
    """The shape (C, h, w) of a layer's maps.

    Raises:
        UnknownNameError: if there is no such layer; names the nearest.
        ExplainError: if it gives no maps.
    """
    shapes = network.layer_shapes
    if layer not in shapes:
        raise unknown_layer(layer, tuple(shapes))
    if len(shapes[layer]) != 3:
        maps = map_layers(network)
        advice = f"name one that does, such as {maps[-1]!r}" if maps else "there is none that does"
        raise ExplainError(
            f"layer {layer!r}: a layer of maps (C, h, w) is asked for, this one gives a vector of "
            f"{math.prod(shapes[layer])} values: {advice}"
        )
    return shapes[layer]


def target_layer(network: Network) -> str:
    """The layer at which Grad-CAM looks unless told otherwise.

    It is the last one that gives maps of more than one cell, before any pooling, on which the
    answer depends: in VGG19 ``block5_conv4``, in a residual network the end of its last stage. In
    a vision transformer that answers from its class token, no patch's output counts after the last
    attention; there it is the norm before it.

    Raises:
        ExplainError: if no layer gives maps of more than one cell, or only an early one does.
    """
    every = network.layer_shapes
    shapes = {name: s for name, s in every.items() if len(s) == 3 and s[1] * s[2] > 1}
    own = _own_layers(network.architecture)
    candidates = [name for name in shapes if own is None or name in own]
    if not candidates:
        raise ExplainError(
            f"network {network.architecture.name!r}: an explanation on maps needs a layer that "
            "gives maps of more than one cell, and none does: ask for gradients instead"
        )
    if own is not None:
        return candidates[-1]
    own_name = {layer.name for layer in network.architecture.layers}  # its paths say more
    candidates = [name for name in candidates if name not in own_name] or candidates
    outside = [name for name in candidates if not _is_inside_vector(name, every)] or candidates
    last = _before_pooling(outside, shapes)
    found = _last_that_counts(network, [n for n in outside if shapes[n] == shapes[last]])
    _check_late(network, found)
    return found


def _check_late(network: Network, layer: str) -> None:
    """Nothing, unless so much follows that gives no maps that the layer is but a stem: then most
    of the network computes in an order in which nobody can find a place of the image.
    """
    shapes = network.layer_shapes
    names = list(shapes)
    maps = map_layers(network)
    maps = maps[: maps.index(layer) + 1]
    following = sum(len(shapes[name]) == 1 for name in names[names.index(layer) + 1 :])
    if following > max(_FEW_VECTORS, _FEW_VECTORS_PER_MAP * len(maps)):
        raise ExplainError(
            f"network {network.architecture.name!r}: the layer that is looked at must lie near the "
            f"end, and after {layer!r}, the last whose values have a place in the image, come "
            f"{following} layers that give none: name one of {', '.join(map(repr, maps[-3:]))} if "
            "that will do, or ask for gradients instead"
        )


def _own_layers(architecture: Architecture) -> set[str] | None:
    """The layers of a trunk of ours that find something new; ``None`` for an adopted trunk."""
    if any(isinstance(layer, Adopted) for layer in architecture.layers):
        return None
    places = [place for place in walk(architecture) if place.depth == 0]
    in_trunk = {p.layer.name for p in places if p.head is None and len(p.output_shape) == 3}
    return {
        place.layer.name
        for place in places
        if (place.layer.name in in_trunk or not in_trunk)
        and not isinstance(place.layer, (MaxPool2d, AvgPool2d, Dropout))
    }


def _is_inside_vector(path: str, shapes: Mapping[str, Shape]) -> bool:
    """Whether a module is part of one that makes a vector: a head, or a pooling that attends."""
    parts = path.split(".")
    around = [".".join(parts[:depth]) for depth in range(1, len(parts))]
    return any(len(shapes[name]) == 1 for name in around if name in shapes)


def _before_pooling(candidates: Sequence[str], shapes: Mapping[str, Shape]) -> str:
    """The last of an adopted module's layers or, where it only pools the maps of another, that.

    A pooling is known by what it does: as many channels, at most half the rows and columns, and
    nothing after it but the modules that it ends.
    """
    last = candidates[-1]
    same = list(takewhile(lambda name: shapes[name] == shapes[last], reversed(candidates)))
    before = candidates[: len(candidates) - len(same)]
    if not before or any(not f"{same[-1]}.".startswith(f"{name}.") for name in same):
        return last
    (channels, rows, columns), (others, height, width) = shapes[last], shapes[before[-1]]
    is_pooled = others == channels and 2 * rows <= height + 1 and 2 * columns <= width + 1
    return before[-1] if is_pooled else last


def _last_that_counts(network: Network, layers: Sequence[str]) -> str:
    """The last of the layers with respect to which an answer to noise has a gradient.

    Where a head's weights are still zero, no layer has any, and what the head is given answers for
    it. One of several that are computed side by side, as an attention's values are beside its
    keys, is only a part: there it is the layer before them.
    """
    if not network.architecture.heads:
        return layers[-1]
    inputs = _vectors_after(network, layers[-1])
    with network.trace(_noise(network), layers=inputs, wrt=layers) as trace:
        answers: tuple[Target, ...] = (
            ClassLogit(network.architecture.heads[0].name, 0),
            *(Neuron(vector, 0, 0, 0) for vector in inputs),
        )
        for answer in answers:
            if _counts(trace, answer, layers[-1]):
                return layers[-1]
            if _counts(trace, answer, layers[0]):
                counting = (name for name in reversed(layers) if _counts(trace, answer, name))
                whole = (name for name in counting if not _is_a_part(network, answer, name))
                return next(whole, layers[0])
    return layers[-1]


def _noise(network: Network) -> FloatArray:
    """One image of noise, the same for one shape of images."""
    shape = (1, *network.architecture.input_shape)
    return generator(0, "target layer").random(shape, dtype="float32")


def _vectors_after(network: Network, layer: str) -> tuple[str, ...]:
    """The last vectors computed after a layer, one of each size, the nearest to the end first."""
    shapes = network.layer_shapes
    names = list(shapes)
    last_of = {shapes[n]: n for n in names[names.index(layer) + 1 :] if len(shapes[n]) == 1}
    return tuple(sorted(last_of.values(), key=names.index, reverse=True)[:_MOST_VECTORS])


def _counts(trace: Trace, answer: Target, layer: str) -> bool:
    """Whether an answer depends on a layer at all."""
    try:
        return bool(trace.gradient([answer], wrt=layer).any())
    except SettingsError:  # nothing leads from the layer to the answer
        return False


def _is_a_part(network: Network, answer: Target, layer: str) -> bool:
    """Whether beside a layer, in the same module, another of as many cells counts for the answer
    and neither is computed from the other.
    """
    shapes, parent = network.layer_shapes, layer.rpartition(".")[0]
    beside = [
        name
        for name, shape in shapes.items()
        if name != layer and name.rpartition(".")[0] == parent and shape[1:] == shapes[layer][1:]
    ]
    asked = () if isinstance(answer, ClassLogit) else (answer.layer,)
    both = (layer, *beside)
    with network.trace(_noise(network), layers=(*both, *asked), wrt=both) as trace:
        return any(
            _counts(trace, answer, name)
            and not _counts(trace, Channel(layer, 0), name)
            and not _counts(trace, Channel(name, 0), layer)
            for name in beside
        )

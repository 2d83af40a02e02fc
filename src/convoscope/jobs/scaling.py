"""How large the features are that a new head is given: it learns as if they were of size one.

The values of some pretrained networks (SqueezeNet's and VGG's in Caffe's scale) are tens of times
as large as what a freshly drawn layer expects. Its first losses would then be as large, and each
step of Adam, whose size does not depend on the gradient's, would throw them far. Dividing features
by their size and folding the division into the layer is the same as dividing its first weights and
their learning rate, which is done here. A head that begins with a batch norm of its own does the
same while it learns, and is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from convoscope import engines
from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, Head, trunk_shape
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, Flatten
from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.jobs.predictions import logits_of
from convoscope.network import Network, Precision

IMAGES = 64
"""So many training images show how large the features are."""


def sizes_before_heads(
    network: Network,
    images: Array,
    train: IntArray,
    fresh: frozenset[str],
    *,
    device: str,
    precision: Precision,
) -> dict[str, float]:
    """Per head's first layer whose weights are ``fresh`` the mean absolute value of what it is
    given, where that is above 1.

    ``images`` (N, H, W, C) are what the network takes, ``train`` rows of them.
    """
    found = dict(_firsts(network.architecture, fresh))
    if not found:
        return {}
    shortened = replace(network.architecture, heads=tuple(head for head, _ in found.values()))
    kept = frozenset(shortened.layer_names)
    below = engines.build(
        shortened,
        preprocessing=network.preprocessing,
        engine=network.engine,
        parameters={n: a for n, a in network.parameters().items() if n.partition(".")[0] in kept},
        device=device,
        precision=precision,
    )
    values = logits_of(below, images, np.sort(train)[:IMAGES])
    sizes = {
        layer: float(np.abs(values[name]).mean(dtype=np.float64))
        for name, (_, layer) in found.items()
    }
    return {layer: size for layer, size in sizes.items() if 1 < size < float("inf")}


def scaled_down(
    parameters: Mapping[str, FloatArray], sizes: Mapping[str, float]
) -> dict[str, FloatArray]:
    """The weights of those layers, each divided by the size of what it is given."""
    return {
        f"{layer}.weight": (parameters[f"{layer}.weight"] / size).astype(np.float32)
        for layer, size in sizes.items()
    }


def _firsts(
    architecture: Architecture, fresh: frozenset[str]
) -> Iterator[tuple[str, tuple[Head, str]]]:
    """Per head it up to its first fresh layer, as a head that gives a vector, and that layer; not
    for one whose values a fresh batch norm makes alike before.
    """
    for head in architecture.heads:
        for position, layer in enumerate(head.layers):
            if isinstance(layer, BatchNorm) and f"{layer.name}.weight" in fresh:
                break
            if isinstance(layer, Dense | Conv2d) and f"{layer.name}.weight" in fresh:
                yield head.name, (_upto(architecture, head, head.layers[:position]), layer.name)
                break


def _upto(architecture: Architecture, head: Head, layers: tuple[AnyLayer, ...]) -> Head:
    shape = trunk_shape(replace(architecture, layers=(*architecture.layers, *layers), heads=()))
    flat = () if len(shape) == 1 else (Flatten(f"{head.name}-values"),)
    return Head(name=head.name, layers=(*layers, *flat))

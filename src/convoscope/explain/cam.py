"""CAM: the heat map that a network with one dense layer on averaged maps draws by itself.

There a class's logit *is* a mean over places, plus a bias: at each place the maps, weighted by the
class's own weights in the dense layer. No gradient is needed, and nothing is approximated. Any
other head has no such weights; Grad-CAM is what generalises this.

Source: Zhou et al. 2016, https://arxiv.org/abs/1512.04150, equation 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.architecture.layers import Dense, Dropout, GlobalAvgPool
from convoscope.arrays import FloatArray
from convoscope.errors import ExplainError
from convoscope.explain.layers import map_shape
from convoscope.explain.views import View
from convoscope.network import ClassLogit, Network, Target


def cam(view: View, targets: Sequence[Target]) -> FloatArray:
    """The class maps (T, N, h, w); negative where a place speaks against the class.

    The mean over a map, plus the class's bias, is its logit.

    Raises:
        ExplainError: if a target is no class, or its head is not an average and a dense layer.
    """
    network, found = view.network, []
    for target in targets:
        if not isinstance(target, ClassLogit):
            raise ExplainError(f"{target}: cam explains classes, got another target: use grad-cam")
        layer, dense = averaged_layer(network, target.head)
        with network.trace(view.images, layers=[layer], wrt=()) as trace:
            maps = trace.activations[layer]
        weights = network.parameters()[f"{dense}.weight"]  # (K, C)
        found.append(np.einsum("nc,nchw->nhw", _of_class(weights, target, len(maps)), maps))
    return np.stack(found) if found else np.zeros((0, len(view.images), 1, 1), np.float32)


def averaged_layer(network: Network, head: str) -> tuple[str, str]:
    """The layer whose maps a head averages, and the dense layer that reads the averages.

    Raises:
        UnknownNameError: if there is no such head; names the nearest.
        ExplainError: if that is not all the head does.
    """
    architecture = network.architecture
    chain = [
        layer
        for layer in (*architecture.layers, *architecture.head(head).layers)
        if not isinstance(layer, Dropout)
    ]
    match chain:
        case [*_, before, GlobalAvgPool(), Dense(activation=None) as dense]:
            map_shape(network, before.name)
            return before.name, dense.name
    raise ExplainError(
        f"head {head!r}: cam needs a global average of maps and one dense layer after it, and this "
        "head computes otherwise: use grad-cam, which generalises it"
    )


def check_cam(network: Network) -> None:
    """Nothing, if every head allows it.

    Raises:
        ExplainError: if one does not; says what to use instead.
    """
    for head in network.architecture.heads:
        averaged_layer(network, head.name)


def _of_class(weights: FloatArray, target: ClassLogit, images: int) -> FloatArray:
    """The weights (N, C) of each image's class; a single sigmoid unit has two, -w and w."""
    classes = np.broadcast_to(np.asarray(target.classes, dtype=np.int64), images)
    if len(weights) == 1:
        return np.asarray(weights[0] * (2 * classes - 1)[:, None])
    return np.asarray(weights[classes])

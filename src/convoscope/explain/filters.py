"""The filters of a convolution, as numbers."""

from __future__ import annotations

import numpy as np

from convoscope.architecture.graph import unknown_layer
from convoscope.arrays import FloatArray
from convoscope.errors import ExplainError
from convoscope.network import Network

_KERNELS = ("weight", "depthwise")


def filters(network: Network, layer: str) -> FloatArray:
    """The filters (F, C, k, k) of a convolution: of filter f, for each channel c that it reads, the
    k x k weights. A depthwise convolution's filters read one channel each.

    Those of a first layer that reads colours are pictures of what they look for; the channels are
    then those of the image, whatever order the network computes in.

    Raises:
        UnknownNameError: if there is no such layer; names the nearest.
        ExplainError: if it has no filters.
    """
    if layer not in network.layer_names:
        raise unknown_layer(layer, network.layer_names)
    kernels = convolutions(network)
    if layer not in kernels:
        known = ", ".join(list(kernels)[:3]) or "none"
        raise ExplainError(
            f"layer {layer!r}: filters belong to convolutions, and this is none: name one, such as "
            f"{known}"
        )
    return kernels[layer]


def convolutions(network: Network) -> dict[str, FloatArray]:
    """The :func:`filters` of every convolution by layer, in computing order."""
    kernels: dict[str, FloatArray] = {}
    parameters = network.parameters()
    for layer in network.layer_names:
        for name in _names(layer, network):
            if name in parameters and parameters[name].ndim == 4:
                kernels[layer] = parameters[name]
    first = next(iter(kernels), "")
    if first and network.preprocessing.order == "bgr" and kernels[first].shape[1] == 3:
        kernels[first] = np.ascontiguousarray(kernels[first][:, ::-1])
    return kernels


def _names(layer: str, network: Network) -> list[str]:
    """What the filters of a layer, or of a module inside an adopted one, may be called."""
    own = [f"{layer}.{kernel}" for kernel in _KERNELS]
    adopted = [f"{place.name}.{layer}.weight" for place in network.architecture.layers]
    return own + adopted

"""Feature maps: what every layer makes of an image."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from convoscope.arrays import Array, FloatArray
from convoscope.explain.layers import map_layers, map_shape
from convoscope.network import Network


def feature_maps(
    network: Network, images: Array, layers: Collection[str] | None = None
) -> Mapping[str, FloatArray]:
    """The maps (N, C, h, w) of the layers, by default of all that give maps, from one pass.

    Raises:
        UnknownNameError: if a layer is not there; names the nearest.
        ExplainError: if it gives no maps.
        ShapeError: if the images are not the network's.
    """
    asked = map_layers(network) if layers is None else tuple(layers)
    for layer in asked:
        map_shape(network, layer)
    with network.trace(images, layers=asked, wrt=()) as trace:
        return trace.activations

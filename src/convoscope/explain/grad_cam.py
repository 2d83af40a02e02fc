"""Grad-CAM: where in the image the evidence for a class lies.

A layer's maps are summed, each weighted by how much the class's logit would gain if the whole map
rose; what speaks against the class is cut off. Computed from one forward pass, and a backward pass
that goes no further down than the layer.

Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import Array, FloatArray
from convoscope.explain.layers import map_shape, target_layer
from convoscope.explain.views import View, look
from convoscope.network import Network, Target


def grad_cam(
    network: Network,
    images: Array,
    targets: Sequence[Target],
    layers: Sequence[str] | None = None,
) -> dict[str, FloatArray]:
    """Per layer the heat maps (T, N, h, w) of T targets, none below 0; all from one forward pass.

    ``layers`` is by default the :func:`~convoscope.explain.layers.target_layer` alone.

    Raises:
        UnknownNameError: if a layer or a head is not there; names the nearest.
        ExplainError: if a layer gives no maps.
        SettingsError: if a target does not lie downstream of a layer, or is out of range.
        ShapeError: if the images are not the network's.
    """
    asked = (target_layer(network),) if layers is None else tuple(layers)
    for layer in asked:
        map_shape(network, layer)
    with look(network, images, targets=targets, layers=asked, wrt=asked) as view:
        return {layer: heat_maps(view, targets, layer) for layer in asked}


def heat_maps(view: View, targets: Sequence[Target], layer: str) -> FloatArray:
    """Grad-CAM at a layer, (T, N, h, w), from a pass that has been made."""
    maps = view.trace.activations[layer]
    pulls = view.trace.gradient(targets, wrt=layer)
    weights = pulls.mean(axis=(3, 4))
    heat: FloatArray = np.maximum(np.einsum("tnc,nchw->tnhw", weights, maps), 0)
    return heat


def enlarge(maps: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Maps (..., h, w) as (..., H, W), between their cells' centres by straight lines.

    Beyond the outermost centres the border's values go on.
    """
    rows, columns = _interpolation(maps.shape[-2], size[0]), _interpolation(maps.shape[-1], size[1])
    enlarged: FloatArray = (rows @ maps @ columns.T).astype(maps.dtype)
    return enlarged


def _interpolation(cells: int, pixels: int) -> FloatArray:
    """The weights (pixels, cells) that each pixel's centre gives to the cells around it."""
    places = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    weights: FloatArray = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells)))
    return weights

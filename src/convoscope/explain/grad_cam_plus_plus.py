"""Grad-CAM++: Grad-CAM that gives every instance of a class its due.

Grad-CAM weighs a map by its mean gradient, so that a small object counts less than a large one.
Here each cell's gradient has a weight of its own, found so that cells of any number add up alike,
and only gradients that speak for the class count.

Source: Chattopadhyay et al. 2018, https://arxiv.org/abs/1710.11063, equations 5 and 19; as there,
for the exponential of the logit, whose powers of the derivative are powers of the logit's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.explain.views import View
from convoscope.metrics.intervals import ratio
from convoscope.network import Target


def grad_cam_plus_plus(view: View, targets: Sequence[Target]) -> FloatArray:
    """The heat maps (T, N, h, w) of T targets, none below 0, as coarse as the view's layer."""
    assert view.layer is not None, "the view was made for this method"
    maps = view.trace.activations[view.layer]
    pulls = view.trace.gradient(targets, wrt=view.layer)
    pulls = pulls.astype(np.float64)  # whose squares and cubes must neither vanish nor overflow
    squares = pulls**2
    sums = (maps * pulls**3).sum(axis=(3, 4), keepdims=True)
    shares = np.nan_to_num(ratio(squares, 2 * squares + sums))
    weights = (shares * np.maximum(pulls, 0)).sum(axis=(3, 4))
    heat = np.maximum(np.einsum("tnc,nchw->tnhw", weights, maps), 0)
    return np.asarray(heat, dtype=maps.dtype)

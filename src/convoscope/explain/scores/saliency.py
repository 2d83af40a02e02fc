"""Explanations of every kind as one value per pixel, so that they can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import Array, FloatArray
from convoscope.explain.grad_cam import enlarge
from convoscope.explain.methods import METHODS, Method, view_for
from convoscope.network import Network, Target


def saliency(method: Method, values: FloatArray, size: tuple[int, int]) -> FloatArray:
    """What a method gave, (..., h, w) or (..., C, H, W), as (..., H, W), one value per pixel.

    Maps are enlarged. Of a sensitivity the largest absolute value of a pixel's channels is taken
    (Simonyan et al. 2014, https://arxiv.org/abs/1312.6034, section 3.1); shares of an answer are
    added up, and speak for or against it. Whatever is not finite counts as 0.
    """
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    if method.gives == "map":
        return enlarge(values, size)
    found: FloatArray = (
        values.sum(axis=-3) if method.colours == "sum" else np.abs(values).max(axis=-3)
    )
    return found


def given(
    network: Network,
    images: Array,
    methods: Sequence[str],
    target: Target,
    layer: str | None = None,
) -> list[FloatArray]:
    """What each method gives for one target, (N, h, w) or (N, C, H, W), from one pass.

    Raises:
        UnknownNameError, ExplainError, SettingsError, ShapeError: as
            :func:`convoscope.explain.explain`.
    """
    with view_for(network, images, methods, targets=[target], layer=layer) as view:
        return [METHODS[name].explain(view, [target])[0] for name in methods]


def saliencies(
    methods: Sequence[str], values: Sequence[FloatArray], size: tuple[int, int]
) -> FloatArray:
    """What M methods gave as one value per pixel, (M, N, H, W)."""
    return np.stack([saliency(METHODS[m], v, size) for m, v in zip(methods, values, strict=True)])

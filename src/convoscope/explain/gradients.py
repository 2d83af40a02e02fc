"""Gradients with respect to the image, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import Array, ByteArray, FloatArray
from convoscope.explain.views import last_needed, look
from convoscope.network import Network, Target


def gradient(network: Network, images: Array, targets: Sequence[Target]) -> FloatArray:
    """The derivative of each target with respect to every pixel, (T, N, C, H, W).

    Per unit of an image in [0, 1], in the image's channel order.

    Source: Simonyan, Vedaldi and Zisserman 2014, https://arxiv.org/abs/1312.6034.
    """
    upto = last_needed(network, targets)
    with look(network, images, targets=targets, upto=upto) as view:
        return view.trace.gradient(targets)


def gradient_picture(gradient: FloatArray) -> ByteArray:
    """The picture (H, W, C) uint8 of a gradient (C, H, W): ``max(0, g) / max``, in its channels.

    Black where nothing is positive, as for a neuron that is silent.
    """
    positive = np.maximum(gradient, 0).transpose(1, 2, 0)
    highest = float(positive.max(initial=0.0))
    share = positive / highest if highest > 0 else positive
    picture: ByteArray = np.round(255 * share).astype(np.uint8)
    return picture

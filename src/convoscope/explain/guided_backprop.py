"""Guided backpropagation: what in the image speaks for a neuron, a channel or a class.

On the way back every ReLU passes only what is positive: gradients that would have the target
decrease are stopped there, besides those of neurons that were silent. What remains is fine and
sharp, and says little about the class: it draws mostly edges of whatever is there (Adebayo et al.
2018, https://arxiv.org/abs/1810.03292). Read it for what a neuron looks at, beside a heat map.

Source: Springenberg et al. 2015, https://arxiv.org/abs/1412.6806.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import Array, FloatArray
from convoscope.errors import ExplainError
from convoscope.explain.views import View, last_needed, look
from convoscope.network import Network, Target


def guided_backprop(network: Network, images: Array, targets: Sequence[Target]) -> FloatArray:
    """The guided gradient of each target, (T, N, C, H, W), per unit of an image in [0, 1].

    Of a neuron that is silent it is 0 everywhere: a ReLU passes nothing back to where it passed
    nothing on.

    Raises:
        ExplainError: if there is no ReLU on the way, which is where the rule acts.
        UnknownNameError: if a target's layer or head is not there; names the nearest.
        SettingsError: if a target lies outside its layer's maps.
        ShapeError: if the images are not the network's.
    """
    upto = last_needed(network, targets)
    with look(network, images, targets=targets, upto=upto) as view:
        return guided_gradient(view, targets)


def guided_gradient(view: View, targets: Sequence[Target]) -> FloatArray:
    """:func:`guided_backprop` from a pass that has been made."""
    if not view.trace.rectifies:
        raise ExplainError(
            f"network {view.network.architecture.name!r}: guided backpropagation acts at ReLUs, "
            "and this network has none on the way to the target: use the method gradient"
        )
    return np.asarray(view.trace.gradient(targets, relu_rule="guided"))

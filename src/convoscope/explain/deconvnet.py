"""Deconvnet: a network run backwards, with a ReLU on the way back as on the way there.

On the way back only what is positive passes a ReLU, whatever its neuron did on the way there;
guided backpropagation asks for both. Like that, it draws what is in the image more than what
decides: compare it with randomised weights before believing it.

Source: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901, section 2.1; as a rule for
gradients, Springenberg et al. 2015, https://arxiv.org/abs/1412.6806, figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.errors import ExplainError
from convoscope.explain.views import View
from convoscope.network import Target


def deconvnet(view: View, targets: Sequence[Target]) -> FloatArray:
    """The deconvnet's picture of each target, (T, N, C, H, W), per unit of an image in [0, 1].

    Raises:
        ExplainError: if the network has no ReLU, which is where the rule acts.
    """
    if not view.trace.rectifies:
        raise ExplainError(
            f"network {view.network.architecture.name!r}: deconvnet acts at ReLUs, and this "
            "network has none: use the method gradient"
        )
    return np.asarray(view.trace.gradient(targets, relu_rule="deconvnet"))

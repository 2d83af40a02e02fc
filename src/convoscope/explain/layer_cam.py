"""LayerCAM: each cell of each map weighted by its own gradient, if that speaks for the class.

Where Grad-CAM gives a whole map one weight, every place has its own here, so that early layers,
whose maps fire for many things at once, give fine and useful heat too.

Source: Jiang et al. 2021, https://doi.org/10.1109/TIP.2021.3089943, equations 5 to 7.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.explain.views import View
from convoscope.network import Target


def layer_cam(view: View, targets: Sequence[Target]) -> FloatArray:
    """The heat maps (T, N, h, w) of T targets, none below 0, as coarse as the view's layer."""
    assert view.layer is not None, "the view was made for this method"
    maps = view.trace.activations[view.layer]
    pulls = view.trace.gradient(targets, wrt=view.layer)
    heat: FloatArray = np.maximum(np.einsum("tnchw,nchw->tnhw", np.maximum(pulls, 0), maps), 0)
    return heat

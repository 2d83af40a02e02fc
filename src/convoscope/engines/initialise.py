"""The values a network starts from: the same for a seed, whichever engine computes.

Each parameter is drawn by its own generator, keyed by (seed, layer, parameter), so that it
does not depend on the other layers of the network. Values are drawn in float32 also for a
float64 network: precision changes how a network computes, not which network it is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.layers import BatchNorm, Conv2d, Dense, SeparableConv2d
from convoscope.architecture.protocol import Initialisation, Shape
from convoscope.arrays import FloatArray, generator


def initial_parameters(
    architecture: Architecture, seed: int, dtype: DTypeLike = "float32"
) -> dict[str, FloatArray]:
    """``{"layer.parameter": array}`` for every parameter and buffer, freshly drawn.

    Weights follow their layer's ``initialisation`` (see :func:`draw`), biases are 0, batch norm
    starts as the identity. The arrays belong to the caller.
    """
    parameters: dict[str, FloatArray] = {}
    for place in walk(architecture):
        layer = place.layer
        shapes = {
            **layer.parameter_shapes(place.input_shape),
            **layer.buffer_shapes(place.input_shape),
        }
        for parameter, shape in shapes.items():
            values = _initial(layer, parameter, shape, seed)
            parameters[f"{layer.name}.{parameter}"] = values.astype(dtype, copy=False)
    return parameters


def draw(rng: np.random.Generator, shape: Shape, scheme: Initialisation) -> FloatArray:
    """Weights (outputs, inputs, ...) in float32 by one of three schemes.

    ``fan_in`` is the number of inputs of one output, ``inputs k k``; ``fan_out`` is
    ``outputs k k``. Both are read off the weight's shape, as PyTorch does.

    - ``kaiming``: normal, variance 2 / fan_in (He et al. 2015, eq. 10,
      https://arxiv.org/abs/1502.01852);
    - ``xavier``: uniform within the square root of 6 / (fan_in + fan_out) (Glorot and Bengio
      2010, eq. 16, https://proceedings.mlr.press/v9/glorot10a.html);
    - ``fan_in``: normal, variance 1 / fan_in (LeCun et al. 1998, "Efficient BackProp", eq. 16).
    """
    area = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * area, shape[0] * area
    if scheme == "xavier":
        weights = rng.random(shape, dtype=np.float32)
        weights -= np.float32(0.5)
        weights *= np.float32(2 * math.sqrt(6 / (fan_in + fan_out)))
        return weights
    weights = rng.standard_normal(shape, dtype=np.float32)
    weights *= np.float32(math.sqrt((2 if scheme == "kaiming" else 1) / fan_in))
    return weights


def _initial(layer: AnyLayer, parameter: str, shape: Shape, seed: int) -> FloatArray:
    match layer:
        case BatchNorm():
            is_scale = parameter in ("weight", "running_var")
            return np.full(shape, 1.0 if is_scale else 0.0, dtype=np.float32)
        case Conv2d() | SeparableConv2d() | Dense() if parameter != "bias":
            rng = generator(seed, "initialise", layer.name, parameter)
            return draw(rng, shape, layer.initialisation)
        case _:
            return np.zeros(shape, dtype=np.float32)

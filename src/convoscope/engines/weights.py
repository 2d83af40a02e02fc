"""Parameters as arrays, ``{"layer.parameter": array}``: how they travel from engine to engine.

Also the dropout masks, which both engines draw here so that they drop the same values.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convoscope.architecture.graph import Architecture, walk
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array, FloatArray, generator
from convoscope.errors import WeightsError, unknown_name


def parameter_shapes(architecture: Architecture) -> dict[str, Shape]:
    """``{"layer.parameter": shape}`` of every parameter and buffer, in computing order."""
    return {
        f"{place.layer.name}.{parameter}": shape
        for place in walk(architecture)
        for shapes in (
            place.layer.parameter_shapes(place.input_shape),
            place.layer.buffer_shapes(place.input_shape),
        )
        for parameter, shape in shapes.items()
    }


def check_parameters(
    architecture: Architecture, parameters: Mapping[str, FloatArray], *, some: bool = False
) -> None:
    """Nothing, if the parameters are this architecture's: all of them, or, with ``some``, a part.

    Raises:
        WeightsError: if a name is unknown or missing, or a shape differs.
    """
    check_shapes(parameter_shapes(architecture), parameters, some=some)


def check_shapes(
    expected: Mapping[str, Shape], parameters: Mapping[str, Array], *, some: bool = False
) -> None:
    """Nothing, if each array has a name and a shape that is expected; all are, unless ``some``.

    Raises:
        WeightsError: if a name is unknown or missing, or a shape differs.
    """
    for name, array in parameters.items():
        if name not in expected:
            raise WeightsError(str(unknown_name("parameter", name, expected)))
        if array.shape != expected[name]:
            raise WeightsError(
                f"parameter {name!r} must have the shape {expected[name]}, got {array.shape}: "
                "give weights of the same architecture, with as many classes"
            )
    missing = [name for name in expected if name not in parameters]
    if missing and not some:
        raise WeightsError(
            f"parameters must be given for every layer, got none for {missing[0]!r}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + ": give weights of the same architecture"
        )


def dropout_mask(seed: int, step: int, layer: str, shape: Shape, rate: float) -> Array:
    """Which values of a (N, ...) array dropout keeps at one step: bool, True with 1 - ``rate``.

    It depends on nothing but its arguments, so that a resumed run drops what an uninterrupted
    one would have dropped.
    """
    rng = generator(seed, "dropout", step, layer)
    kept: Array = rng.random(shape, dtype=np.float32) >= np.float32(rate)
    return kept

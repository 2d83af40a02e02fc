"""A pretrained network, opened from the weights that are at hand; and weights put there.

Nothing here touches the network (:mod:`convoscope.transfer.hub` does).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from convoscope import engines
from convoscope.architecture import zoo
from convoscope.architecture.graph import Architecture, without_top
from convoscope.architecture.protocol import Shape
from convoscope.arrays import Array
from convoscope.engines.weights import check_shapes, parameter_shapes
from convoscope.errors import SettingsError, WeightsError, placed
from convoscope.network import Engine, Network, Precision
from convoscope.transfer.catalogue import ZOO, Backbone, backbone
from convoscope.transfer.store import Stored, find, how_to_get, keep

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def pretrained(
    name: str,
    *,
    engine: Engine = "torch",
    device: str = "auto",
    precision: Precision = "float32",
    with_top: bool = True,
) -> Network:
    """The backbone of that name with its weights: all of it, with the 1000 logits of a head
    ``class``, or, without its top, the trunk up to its ``features``.

    Raises:
        UnknownNameError: if there is no such backbone; names the nearest.
        WeightsError: if its weights are not at hand, or lack the top that is asked for; says how
            to get them.
        SettingsError: if the engine cannot compute it.
        MissingDependencyError: if a library that it needs is not installed.
    """
    chosen = backbone(name)
    stored = stored_weights(chosen.name)
    if engine == "numpy" and not chosen.is_ours:
        raise SettingsError(
            f"backbone {chosen.name!r}: engine='numpy' computes networks of our own layers, this "
            "one is an adopted PyTorch module: use engine='torch', or another backbone such as "
            "vgg19"
        )
    if with_top and not stored.classes:
        raise WeightsError(
            f"backbone {chosen.name!r}: its classifier needs weights, those at hand "
            f"({stored.origin.place}) have none: use it without its top, or import others"
        )
    architecture, shapes = plan(
        chosen, stored.input_shape, with_top=with_top, classes=stored.classes
    )
    arrays = stored.arrays()
    return engines.build(
        architecture,
        preprocessing=stored.preprocessing,
        engine=engine,
        parameters={parameter: arrays[parameter] for parameter in shapes if parameter in arrays},
        device=device,
        precision=precision,
    )


def stored_weights(name: str) -> Stored:
    """The weights of a backbone, which must be at hand.

    Raises:
        WeightsError: if they are not; says how to get them.
    """
    stored = find(name)
    if stored is None:
        raise WeightsError(
            f"backbone {name!r}: its weights must be on this machine, they are not: "
            + how_to_get(name)
        )
    return stored


def plan(
    chosen: Backbone, input_shape: Shape, *, with_top: bool, classes: int = 1000
) -> tuple[Architecture, dict[str, Shape]]:
    """A backbone's architecture for images of ``input_shape``, and the shapes of its parameters.

    Raises:
        ShapeError, SettingsError: if it takes no images of that shape.
    """
    if not chosen.is_ours:
        found = engines.blueprint(
            chosen.source, input_shape, cut="" if with_top else chosen.features
        )
        return found.architecture, found.shapes
    whole = zoo.make(
        chosen.source.removeprefix(ZOO), input_shape=input_shape, classes=classes or None
    )
    architecture = whole if with_top else without_top(whole)
    return architecture, parameter_shapes(architecture)


def adding(chosen: Backbone, stored: Stored, arrays: Mapping[str, Array]) -> Stored:
    """Check that parameters are those of a backbone, in name and shape, and keep them.

    Raises:
        WeightsError: if a name is unknown or missing, a shape differs, or a value is no number.
        StorageError: if the disk is full or not writable.
    """
    with placed(f"backbone {chosen.name!r}"):
        _, shapes = plan(
            chosen, stored.input_shape, with_top=stored.classes > 0, classes=stored.classes
        )
        check_shapes(shapes, arrays)
        for parameter, array in arrays.items():
            if not np.isfinite(array).all():
                raise WeightsError(
                    f"parameter {parameter!r} must hold finite numbers, found NaN or infinity: "
                    "get the file again, or another one"
                )
    return keep(replace(stored, parameters=_learnt(arrays)), arrays)


def _learnt(arrays: Mapping[str, Array]) -> int:
    """How many values are weights, and not the running statistics of batch norm."""
    return sum(
        array.size
        for parameter, array in arrays.items()
        if parameter.rpartition(".")[2] not in _STATISTICS
    )

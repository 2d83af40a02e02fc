"""What a gradient starts from: each target is a weighted sum of the values of one array.

The weights are the *seed* of the way back, so an engine needs to know nothing else about
targets: it takes the seed to the layer or the head that :func:`source` names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from convoscope.architecture.graph import Output, unknown_layer
from convoscope.architecture.protocol import Shape
from convoscope.arrays import FloatArray, IntArray
from convoscope.errors import SettingsError
from convoscope.network import Channel, ClassLogit, Neuron, Target


def seed(
    target: Target, shape: Shape, *, output: Output = "softmax", dtype: str = "float32"
) -> FloatArray:
    """The derivative of the target with respect to its source, whose (N, ...) ``shape`` is given.

    A neuron's is 1 at its cell; a channel's is 1 / (h w) over its map, for it is the map's mean;
    a class logit's is 1 at its class. A head with one sigmoid unit z has two classes, whose
    logits are -z (class 0) and z (class 1).

    Raises:
        SettingsError: if an index is out of range, or there is not one per image.
    """
    seeds = np.zeros(shape, dtype=dtype)
    images = np.arange(shape[0])
    match target:
        case ClassLogit() if output == "sigmoid" and shape[1] == 1:
            classes = _indices(target, "classes", target.classes, shape[0], 2)
            seeds[images, 0] = 2 * classes - 1
        case ClassLogit():
            seeds[images, _indices(target, "classes", target.classes, shape[0], shape[1])] = 1
        case Channel():
            channels = _indices(target, "channel", target.channel, shape[0], shape[1])
            seeds[images, channels] = 1 / math.prod(shape[2:])
        case Neuron():
            height, width = shape[2:] or (1, 1)
            channels = _indices(target, "channel", target.channel, shape[0], shape[1])
            rows = _indices(target, "row", target.row, shape[0], height)
            columns = _indices(target, "column", target.column, shape[0], width)
            seeds.reshape(*shape[:2], height, width)[images, channels, rows, columns] = 1
    return seeds


def not_downstream(target: Target, wrt: str) -> SettingsError:
    """The error for a target that does not depend on ``wrt``."""
    return SettingsError(
        f"{target}: a target must lie downstream of wrt={wrt!r}, and this one does not depend on "
        "it: ask for the gradient with respect to an earlier layer"
    )


def not_traced(layer: str, traced: tuple[str, ...]) -> SettingsError:
    """The error for a layer whose output the trace did not keep."""
    return SettingsError(
        f"a gradient needs the layers it starts from and ends at to be traced, got {layer!r} "
        f"and a trace of {', '.join(traced) or 'no layers'}: name it in layers=[...]"
    )


def check_wrt(
    wrt: str, kept: Sequence[str], *, traced: Sequence[str], known: Sequence[str]
) -> None:
    """Nothing, if a trace made for gradients with respect to ``kept`` can give one for ``wrt``;
    with ``"images"`` come all ``traced`` layers.

    Raises:
        UnknownNameError: if ``wrt`` is neither ``"images"`` nor a layer.
        SettingsError: if the trace was not made for it.
    """
    if wrt != "images" and wrt not in known:
        raise unknown_layer(wrt, known)
    if "images" in kept and wrt != "images" and wrt not in (*kept, *traced):
        raise not_traced(wrt, tuple(traced))
    if "images" not in kept and wrt not in kept:
        raise SettingsError(
            "a gradient needs a trace that was made for it, got "
            f"wrt={wrt!r} and a trace for {', '.join(kept) or 'none'}: name it in wrt=[...]"
        )


def too_late(layer: str, upto: str) -> SettingsError:
    """The error for a layer that a forward pass which ends at ``upto`` never computes."""
    return SettingsError(
        f"layer {layer!r} must be computed in a pass that ends at {upto!r}, "
        "but it comes later or in another branch: leave upto away"
    )


def no_logits(target: ClassLogit, upto: str) -> SettingsError:
    """The error for a class logit of a forward pass that stopped before the heads."""
    return SettingsError(
        f"{target}: a class logit needs the heads, and the forward pass stopped at {upto!r}: "
        "trace without upto"
    )


def _indices(
    target: Target, field: str, value: int | tuple[int, ...], images: int, count: int
) -> IntArray:
    indices = np.full(images, value) if isinstance(value, int) else np.asarray(value, np.int64)
    if indices.shape != (images,):
        raise SettingsError(
            f"{target}: {field} must be one index, or one per image ({images}), got {len(indices)}"
        )
    wrong = indices[(indices < 0) | (indices >= count)]
    if wrong.size:
        raise SettingsError(f"{target}: {field} must be from 0 to {count - 1}, got {int(wrong[0])}")
    return indices.astype(np.int64)

"""What both engines' learners agree on: rates, weight decay, and what a loss is computed from.

Everything here is small and done in NumPy before a step: names, multipliers, and the labels of
one batch as target distributions and weights of images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convoscope.architecture.branches import AnyLayer
from convoscope.architecture.graph import (
    Architecture,
    Head,
    branches,
    class_count,
    logit_shapes,
    walk,
)
from convoscope.architecture.layers import BatchNorm
from convoscope.arrays import Array, FloatArray
from convoscope.errors import SettingsError, unknown_name
from convoscope.network import HeadLoss


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossTerms:
    """One head's part of the loss of a batch, ready to be computed.

    With ``l_i`` the loss of image i against row i of ``targets`` (N, units), the head adds the
    sum of ``weights[i] l_i``. ``l_i`` is ``-sum_k t_ik log softmax(z_i)_k`` for a softmax head
    and the mean over the units of ``-t log s(z) - (1 - t) log(1 - s(z))`` for a sigmoid one.
    ``weights`` (N,) hold the mask, the class weights, the mean and the head's weight.
    """

    targets: FloatArray
    weights: FloatArray


def check_losses(architecture: Architecture, losses: Sequence[HeadLoss]) -> None:
    """Nothing, if every loss belongs to a head, one to each, and its numbers fit.

    Raises:
        UnknownNameError: if a loss's head is not in the network.
        SettingsError: if there is no loss, two for a head, class weights that are not one
            per class, or a number out of its range.
    """
    if not losses:
        raise SettingsError("a learner needs at least one loss, got none: give a HeadLoss")
    names = [loss.head for loss in losses]
    for loss in losses:
        head = architecture.head(loss.head)
        if names.count(loss.head) > 1:
            raise SettingsError(f"head {loss.head!r}: there must be one loss per head, got two")
        classes = class_count(head, logit_shapes(architecture)[head.name][0])
        if loss.class_weights is not None and len(loss.class_weights) != classes:
            raise SettingsError(
                f"head {head.name!r}: class_weights must be one per class ({classes}), "
                f"got {len(loss.class_weights)}"
            )
        if loss.class_weights is not None and min(loss.class_weights) < 0:
            raise SettingsError(
                f"head {head.name!r}: class_weights must be at least 0, "
                f"got {min(loss.class_weights)}"
            )
        if not 0 <= loss.weight < float("inf"):
            raise SettingsError(
                f"head {head.name!r}: weight must be at least 0 and finite, got {loss.weight}"
            )
        if not 0 <= loss.label_smoothing < 1:
            raise SettingsError(
                f"head {head.name!r}: label_smoothing must be at least 0 and below 1, "
                f"got {loss.label_smoothing}"
            )


def loss_terms(
    head: Head, units: int, loss: HeadLoss, labels: Array, dtype: str = "float32"
) -> LossTerms:
    """Targets and weights of a batch: int labels (N,), -1 where not known, or soft (N, K), a row of
    -1 where not known.

    An image's class weight is its class's; of a soft label it is the mean over the label. Label
    smoothing e turns a target t into ``(1 - e) t + e / K`` (softmax) or ``(1 - e) t + e / 2``
    (sigmoid). A batch without any known label adds 0.

    Raises:
        SettingsError: if the labels are of another shape, or a class index is out of range.
    """
    classes = class_count(head, units)
    shares, is_known = _class_shares(head.name, classes, labels)
    weights = is_known * _class_weights(shares, loss.class_weights)
    total = weights.sum()
    targets = shares[:, 1:] if units < classes else shares
    uniform = 1 / units if head.output == "softmax" else 1 / 2
    smoothed = (1 - loss.label_smoothing) * targets + loss.label_smoothing * uniform
    scale = loss.weight / total if total > 0 else 0.0
    return LossTerms(targets=smoothed.astype(dtype), weights=(weights * scale).astype(dtype))


def batch_terms(
    architecture: Architecture,
    losses: Sequence[HeadLoss],
    labels: Mapping[str, Array],
    images: int,
    dtype: str = "float32",
) -> dict[str, LossTerms]:
    """Per head that has a loss, the terms of a batch of so many images.

    Raises:
        SettingsError: if a head's labels are missing, are not one per image, or do not fit.
    """
    shapes = logit_shapes(architecture)
    terms = {}
    for loss in losses:
        if loss.head not in labels:
            raise SettingsError(
                f"head {loss.head!r}: a head with a loss needs labels, got labels for "
                f"{', '.join(labels) or 'no head'}: give -1 where a label is not known"
            )
        given = np.asarray(labels[loss.head])
        if len(given) != images:
            raise SettingsError(
                f"head {loss.head!r}: there must be one label per image ({images}), "
                f"got {len(given)}"
            )
        head = architecture.head(loss.head)
        terms[loss.head] = loss_terms(head, shapes[loss.head][0], loss, given, dtype)
    return terms


def multipliers(
    architecture: Architecture, names: Sequence[str], rates: Mapping[str, float]
) -> dict[str, float]:
    """Per parameter name the multiplier of its learning rate: that of the longest key it has.

    A key that is a layer's name stands for that layer and the layers inside it, so that
    ``conv1`` leaves ``conv10`` alone; any other key stands for every name that begins with it
    (``block5``, ``conv1.bias``, and ``""`` for all).

    Raises:
        UnknownNameError: if nothing begins with a key.
        SettingsError: if a multiplier is below 0 or not finite.
    """
    inside = {place.layer.name: tuple(_names_inside(place.layer)) for place in walk(architecture)}
    for key, rate in rates.items():
        if not 0 <= rate < float("inf"):
            raise SettingsError(f"rate of {key!r} must be at least 0 and finite, got {rate}")
        if key not in inside and not any(name.startswith(key) for name in names):
            raise unknown_name("layer", key, inside)
    chosen = {}
    for name in names:
        keys = [key for key in rates if _covers(key, name, inside)]
        chosen[name] = rates[max(keys, key=len)] if keys else 1.0
    return chosen


def undecayed(architecture: Architecture) -> frozenset[str]:
    """The parameters that weight decay leaves alone: biases, and batch norm's scale and shift."""
    return frozenset(
        f"{place.layer.name}.{parameter}"
        for place in walk(architecture)
        for parameter in place.layer.parameter_shapes(place.input_shape)
        if parameter == "bias" or isinstance(place.layer, BatchNorm)
    )


def _class_shares(head: str, classes: int, labels: Array) -> tuple[FloatArray, Array]:
    """Labels as (N, classes) shares, and which of them are known."""
    if labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer):
        wrong = labels[(labels < -1) | (labels >= classes)]
        if wrong.size:
            raise SettingsError(
                f"head {head!r}: a label must be from 0 to {classes - 1}, or -1 where not known, "
                f"got {int(wrong[0])}"
            )
        is_known = labels >= 0
        return np.eye(classes)[np.where(is_known, labels, 0)] * is_known[:, None], is_known
    if labels.shape[1:] == (classes,) and np.issubdtype(labels.dtype, np.floating):
        is_known = (labels != -1).any(axis=1)
        return labels.astype(np.float64) * is_known[:, None], is_known
    raise SettingsError(
        f"head {head!r}: labels must be integers (N,) or floats (N, {classes}), "
        f"got {labels.dtype} of shape {labels.shape}"
    )


def _class_weights(shares: FloatArray, weights: Sequence[float] | None) -> FloatArray:
    """Per image the weight of its class; 1 for an image of no class."""
    ones = np.ones(len(shares))
    if weights is None:
        return ones
    total = shares.sum(axis=1)
    means: FloatArray = np.divide(shares @ np.asarray(weights), total, out=ones, where=total > 0)
    return means


def _covers(key: str, name: str, inside: Mapping[str, Sequence[str]]) -> bool:
    if key in inside:
        return any(name.startswith(f"{layer}.") for layer in inside[key])
    return name.startswith(key)


def _names_inside(layer: AnyLayer) -> list[str]:
    inner = [name for chain in branches(layer) for one in chain for name in _names_inside(one)]
    return [layer.name, *inner]

"""All scores of several methods on some images, with the baselines beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convoscope.architecture.graph import class_count
from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.explain.scores.baselines import centre, chance
from convoscope.explain.scores.curves import Curves, perturbation_curves
from convoscope.explain.scores.drops import drops
from convoscope.explain.scores.pointing import mass_inside, points_inside
from convoscope.explain.scores.saliency import given, saliencies
from convoscope.explain.scores.stability import stability
from convoscope.metrics.predictions import HeadPredictions
from convoscope.network import ClassLogit, Network


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """The scores of M methods, then of the centre and of chance, on N images: all (M + 2, N) but
    ``probability`` (N,), ``stability`` (M, N) and the curves. ``pointing`` and ``mass`` are for
    the images that have a mask, in order, (M + 2, n).
    """

    probability: FloatArray
    curves: Curves
    drop: FloatArray
    left: FloatArray
    stability: FloatArray
    pointing: FloatArray
    mass: FloatArray


def score_images(
    network: Network,
    images: Array,
    methods: Sequence[str],
    target: ClassLogit,
    *,
    names: Sequence[str],
    layer: str | None = None,
    masks: Sequence[Array | None] = (),
) -> Measured:
    """Score methods on images (N, C, H, W) that have ``names``, by which chance draws; ``masks``
    (H, W) bool mark the thing in an image.

    Raises:
        UnknownNameError, ExplainError, SettingsError, ShapeError: as
            :func:`convoscope.explain.explain`.
    """
    size = (images.shape[2], images.shape[3])
    values = given(network, images, methods, target, layer)
    own = saliencies(methods, values, size)
    middle = np.broadcast_to(centre(size), (len(images), *size))
    drawn = np.stack([chance(size, name) for name in names])
    every = np.concatenate([own, middle[None], drawn[None]]).astype(np.float32)
    classes = np.broadcast_to(np.asarray(target.classes, dtype=np.int64), len(images))

    def ask(pictures: Array, numbers: IntArray) -> FloatArray:
        return probabilities(network, pictures, target.head, classes[numbers])

    whole = ask(images, np.arange(len(images), dtype=np.int64))
    lost, left = drops(ask, images, every, whole)
    marked = [k for k, mask in enumerate(masks) if mask is not None]
    where = np.array([masks[k] for k in marked], dtype=bool).reshape(len(marked), *size)
    return Measured(
        probability=whole,
        curves=perturbation_curves(ask, images, every),
        drop=lost,
        left=left,
        stability=stability(network, images, methods, target, values, layer),
        pointing=points_inside(every[:, marked], where),
        mass=mass_inside(every[:, marked], where),
    )


def probabilities(network: Network, images: Array, head: str, classes: IntArray) -> FloatArray:
    """How probable one class of a head is for each image, (N,) float64; 0 where no number came."""
    logits = network.logits(images)[head]
    of = network.architecture.head(head)
    count = class_count(of, logits.shape[1])
    said = HeadPredictions(
        class_names=tuple(map(str, range(count))),
        labels=np.full(len(logits), -1, dtype=np.int64),
        logits=logits,
        output=of.output,
    )
    return np.nan_to_num(said.probabilities()[np.arange(len(logits)), classes])

"""Two images made into one, with a label between theirs: mixup and cutmix.

A label becomes soft: the share of each class, (N, K). An image is mixed with the next one of its
batch whose labels are known in the same heads, so that a label that is not known stays one, and
never counts as a share of nothing. The batch is in random order already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from convoscope.arrays import Array, ByteArray, FloatArray, IntArray
from convoscope.data.augment import Policy
from convoscope.data.class_indices import UNKNOWN


def mixed(
    images: ByteArray,
    labels: Mapping[str, IntArray],
    classes: Mapping[str, int],
    policy: Policy,
    rngs: Sequence[np.random.Generator],
) -> tuple[ByteArray, dict[str, FloatArray]]:
    """Images (N, H, W, C) uint8 mixed in pairs, and their soft labels per head (N, K).

    ``labels`` per head (N,), -1 where not known, which becomes a row of -1; ``classes`` says K.
    ``rngs`` are one generator per image. The larger share is the image's own, so that every image
    is seen in every epoch. An image without a partner stays as it is.
    """
    partners = _partners(labels, len(images))
    result = np.empty_like(images)
    shares = np.ones(len(images))
    for row, rng in enumerate(rngs):
        own, other = images[row], images[partners[row]]
        if partners[row] == row:
            result[row] = own
            continue
        by_cutting = policy.cutmix > 0 and (policy.mixup == 0 or rng.random() < 0.5)
        alpha = policy.cutmix if by_cutting else policy.mixup
        drawn = float(rng.beta(alpha, alpha))
        share = max(drawn, 1 - drawn)
        result[row], shares[row] = (
            cut_together(own, other, share, rng.random(2))
            if by_cutting
            else (blended(own, other, share), share)
        )
    return result, {
        head: _soft(known, partners, shares, classes[head]) for head, known in labels.items()
    }


def blended(own: ByteArray, other: ByteArray, share: float) -> ByteArray:
    """``share own + (1 - share) other``, both (H, W, C), rounded.

    Source: Zhang et al. 2018, "mixup: Beyond empirical risk minimization", equation 1,
    https://arxiv.org/abs/1710.09412.
    """
    blend = cv2.addWeighted(own, share, other, 1 - share, 0)
    return np.asarray(blend, np.uint8).reshape(own.shape)


def cut_together(
    own: ByteArray, other: ByteArray, share: float, place: FloatArray
) -> tuple[ByteArray, float]:
    """``own`` with a rectangle of ``other``, and the share of its area that is left of ``own``.

    The rectangle has the picture's aspect and ``1 - share`` of its area, as far as it lies inside:
    its centre, ``place`` (2,) from [0, 1) of height and width, can be anywhere. Source: Yun et al.
    2019, "CutMix", section 3.1, https://arxiv.org/abs/1905.04899.
    """
    height, width = own.shape[:2]
    side = np.sqrt(1 - share)
    centre = place * (height, width)
    half = side * np.array([height, width]) / 2
    top, left = np.rint(np.maximum(centre - half, 0)).astype(int)
    bottom, right = np.rint(np.minimum(centre + half, (height, width))).astype(int)
    changed = np.array(own)
    changed[top:bottom, left:right] = other[top:bottom, left:right]
    return changed, float(1 - (bottom - top) * (right - left) / (height * width))


def _partners(labels: Mapping[str, IntArray], count: int) -> IntArray:
    """For each image the next one, round in a circle, of those whose labels are known alike."""
    known = np.column_stack([np.zeros(count, bool), *(of != UNKNOWN for of in labels.values())])
    partners = np.arange(count)
    for pattern in np.unique(known, axis=0):
        rows = np.flatnonzero((known == pattern).all(axis=1))
        partners[rows] = np.roll(rows, -1)
    return partners


def _soft(labels: IntArray, partners: IntArray, shares: FloatArray, classes: int) -> FloatArray:
    """(N, K) float32: ``share`` of the own class and the rest of the partner's; -1 if unknown."""
    soft = np.full((len(labels), classes), float(UNKNOWN), np.float32)
    known: Array = labels != UNKNOWN
    soft[known] = 0
    rows = np.flatnonzero(known)
    np.add.at(soft, (rows, labels[rows]), shares[rows])
    np.add.at(soft, (rows, labels[partners[rows]]), 1 - shares[rows])
    return soft

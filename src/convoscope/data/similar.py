"""Near-duplicates: images that show almost the same, found by hash and proven by correlation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convoscope.arrays import Array, ByteArray, FloatArray, IntArray
from convoscope.data.facts import ImageFacts

SMALLEST_SIDE = 64
"""Smaller pictures hold too few details: two of one class may well look the same."""

# Chosen on 1,707 photographs of 21 Caltech-101 classes: every pair that these find there shows the
# same picture or the same object posed alike, and below 0.9 begin pianos that are merely pianos.
BITS_APART = 8
CORRELATION = 0.9
_BLOCK = 256
_PAIRS_AT_ONCE = 4096  # a fixed camera's pictures are all alike, and their pairs very many


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarPair:
    """Two images, by their ids, that show almost the same; ``correlation`` of their pixels."""

    first: str
    second: str
    correlation: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimilarRows:
    """M pairs: ``rows`` (M, 2) int64, the first below the second, ``correlations`` (M,)."""

    rows: IntArray
    correlations: FloatArray


def near_duplicates(facts: ImageFacts) -> SimilarRows:
    """The pairs of images that show almost the same, ordered by their rows.

    A pair is one whose perceptual hashes differ in at most
    ``BITS_APART`` of 64 bits and whose luminances at 32 x 32 pixels correlate by ``CORRELATION``
    or more. Images with a side below ``SMALLEST_SIDE`` pixels are not looked at.
    """
    (large,) = np.nonzero(np.minimum(facts.width, facts.height) >= SMALLEST_SIDE)
    found = list(_close_hashes(facts.perceptual[large]))
    if not found:
        return SimilarRows(rows=np.empty((0, 2), np.int64), correlations=np.empty(0))
    pairs = large[np.concatenate(found)]
    rows, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    shapes = np.stack([_standardised(facts.small[row]) for row in rows.tolist()])
    correlations = np.concatenate(
        [
            np.einsum("nd,nd->n", shapes[some[:, 0]], shapes[some[:, 1]])
            for some in np.array_split(places, -(-len(places) // _PAIRS_AT_ONCE))
        ]
    )
    alike = correlations >= CORRELATION
    return SimilarRows(rows=pairs[alike].astype(np.int64), correlations=correlations[alike])


def _close_hashes(hashes: Array) -> Iterator[IntArray]:
    """Pairs (m, 2) of positions whose hashes are close, a block of rows at a time."""
    for start in range(0, len(hashes), _BLOCK):
        rows = hashes[start : start + _BLOCK]
        apart = np.bitwise_count(rows[:, None] ^ hashes[None, start:])
        first, second = np.nonzero(apart <= BITS_APART)
        later = second > first
        if later.any():
            yield np.stack([first[later], second[later]], axis=1).astype(np.int64) + start


def _standardised(small: ByteArray) -> FloatArray:
    """(32, 32) to (1024,) of mean 0 and length 1; zeros if nothing is on it."""
    centred = small.ravel() - small.mean()
    length = float(np.linalg.norm(centred))
    # A deviation below one gray level is noise, which must not pass for likeness.
    return centred / length if length >= small.shape[0] else np.zeros_like(centred)

"""Decoded data sets of given labels and likeness, without files, for the tests of splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from convoscope.arrays import Array
from convoscope.data.cache import Decoded
from convoscope.data.dataset import Dataset, SplitName
from convoscope.data.facts import ImageFacts


def decoded_of(
    labels: Sequence[int] | Mapping[str, Sequence[int]],
    *,
    split: Sequence[SplitName] | None = None,
    pixels: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
) -> Decoded:
    """Images of those labels, each with pixels of its own unless ``pixels`` says otherwise."""
    per_head = labels if isinstance(labels, Mapping) else {"class": labels}
    count = len(next(iter(per_head.values())))
    names = tuple(ids or (f"{row:04}.png" for row in range(count)))
    dataset = Dataset(
        name="drawn",
        root=None,
        ids=names,
        labels={head: np.array(known, np.int64) for head, known in per_head.items()},
        class_names={
            head: tuple(f"{head}{k}" for k in range(max(known) + 1))
            for head, known in per_head.items()
        },
        pixels=np.zeros((count, 1, 1, 1), np.uint8),
        given_split=tuple(split) if split else None,
        groups=tuple(groups) if groups else None,
    )
    return Decoded(
        dataset=dataset,
        images=np.zeros((count, 1, 1, 1), np.uint8),
        facts=facts_of_small_images(names, pixels or names),
        skipped=(),
        fingerprint="",
    )


def facts_of_small_images(sha256: Sequence[str], pixels: Sequence[str]) -> ImageFacts:
    """Facts of images too small to be near-duplicates; they differ in their hashes alone."""
    count = len(sha256)
    ones: Array = np.ones(count, np.int64)
    return ImageFacts(
        sha256=np.array(sha256),
        pixel_hash=np.array(pixels),
        perceptual=np.zeros(count, np.uint64),
        width=ones,
        height=ones,
        mode=np.full(count, "L"),
        file_size=ones,
        is_gray=np.ones(count, bool),
        brightness=np.zeros(count),
        border=np.zeros((count, 3)),
        small=np.zeros((count, 32, 32), np.uint8),
    )

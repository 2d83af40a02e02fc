"""Nested, stratified parts of the training images: which images each of them has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.arrays import IntArray, generator
from convoscope.errors import SettingsError
from convoscope.jobs.prepare import Prepared


def fractions_of(text: str) -> tuple[float, ...]:
    """The parts in ``0.1,0.25,1``, the smallest first.

    Raises:
        SettingsError: if one of them is no number above 0 and at most 1, or is there twice, or
            there are fewer than two.
    """
    found = []
    for word in text.split(","):
        try:
            fraction = float(word)
        except ValueError:
            fraction = 0.0
        if not 0 < fraction <= 1:
            raise SettingsError(
                f"--fractions: each must be a number above 0 and at most 1, got {word.strip()!r}: "
                "write them as 0.1,0.25,0.5,1"
            )
        found.append(fraction)
    if len(set(found)) < len(found) or len(found) < 2:
        raise SettingsError(
            f"--fractions: a curve needs two different parts or more, got {text!r}: write them as "
            "0.1,0.25,0.5,1"
        )
    return tuple(sorted(found))


def part_word(fraction: float) -> str:
    """A part as a folder's name, and as a key."""
    return f"{fraction:g}"


def drawn(prepared: Prepared, fractions: Sequence[float], *, seed: int) -> dict[float, IntArray]:
    """For each part its rows among the training images, ascending; a larger one holds the smaller.

    Each class, or combination of classes with several heads, is put in an order of the seed's, and
    a part takes its first images.

    Raises:
        SettingsError: if a part leaves a class without an image.
    """
    dataset, rows = prepared.dataset, prepared.splits.indices["train"]
    labels = np.stack([dataset.labels[head][rows] for head in sorted(dataset.labels)], axis=1)
    rng = generator(seed, "fractions")
    order = rng.permutation(len(rows))
    _, strata = np.unique(labels[order], axis=0, return_inverse=True)
    strata = strata.reshape(-1)
    rank, size = np.zeros(len(rows)), np.bincount(strata)
    for stratum in range(len(size)):
        members = np.flatnonzero(strata == stratum)
        rank[members] = np.arange(len(members))
    parts: dict[float, IntArray] = {}
    for fraction in fractions:
        counts = np.floor(fraction * size + 0.5)
        part = np.sort(rows[order[rank < counts[strata]]])
        _check_classes(prepared, part, fraction)
        parts[fraction] = part
    return parts


def _check_classes(prepared: Prepared, part: IntArray, fraction: float) -> None:
    dataset = prepared.dataset
    train = prepared.splits.indices["train"]
    for head, names in dataset.class_names.items():
        before = np.bincount(dataset.labels[head][train] + 1, minlength=len(names) + 1)[1:]
        now = np.bincount(dataset.labels[head][part] + 1, minlength=len(names) + 1)[1:]
        for label in np.flatnonzero((now == 0) & (before > 0)).tolist():
            least = 0.5 / before[before > 0].min()
            raise SettingsError(
                f"--fractions: each part must hold an image of every class, {fraction:g} of the "
                f"{before[label]} training images of {names[label]!r} is none: begin with "
                f"{least:.2g} or more"
            )

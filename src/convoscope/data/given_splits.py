"""Splits that the source came with: what each is used for, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from convoscope.arrays import IntArray
from convoscope.data.cache import Decoded
from convoscope.data.class_indices import UNKNOWN
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.data.similar import SimilarPair, SimilarRows
from convoscope.errors import DataError, LeakError

_NAMED_AT_MOST = 3


def given_split(dataset: Dataset) -> tuple[dict[SplitName, IntArray] | None, tuple[str, ...]]:
    """The split that the source came with, as it is to be used, and notes; None if it has none."""
    if dataset.given_split is None:
        return None, ()
    words = np.array(dataset.given_split)
    given = {split: np.flatnonzero(words == split) for split in SPLIT_NAMES}
    if not len(given["train"]):
        raise DataError(
            "there must be images to train on, found only images for "
            f"{' and '.join(split for split in SPLIT_NAMES if len(given[split]))}: "
            "add a folder train, or take the split folders away to have the images divided"
        )
    if len(given["test"]):
        return given, ()
    if not len(given["validation"]):
        return None, ("there is a training split only, which was divided",)
    return (
        {"train": given["train"], "validation": given["test"], "test": given["validation"]},
        ("there is no test split: the validation split is used for testing, and for nothing else",),
    )


def leaks_between(
    decoded: Decoded, given: Mapping[SplitName, IntArray]
) -> tuple[tuple[str, str], ...]:
    """An image of an earlier split for each image of a later one that has the same pixels."""
    ids, hashes = decoded.dataset.ids, decoded.facts.pixel_hash
    earlier: dict[str, int] = {}
    leaks: list[tuple[str, str]] = []
    for split in SPLIT_NAMES:
        rows = given[split].tolist()
        leaks += [(ids[earlier[hashes[r]]], ids[r]) for r in rows if hashes[r] in earlier]
        for row in rows:
            earlier.setdefault(hashes[row], row)
    return tuple(leaks)


def across(
    dataset: Dataset, given: Mapping[SplitName, IntArray], alike: SimilarRows
) -> tuple[SimilarPair, ...]:
    """The near-duplicates whose two images lie in different splits."""
    split_of = np.empty(len(dataset), np.int64)
    for number, split in enumerate(SPLIT_NAMES):
        split_of[given[split]] = number
    crossing = split_of[alike.rows[:, 0]] != split_of[alike.rows[:, 1]]
    return tuple(
        SimilarPair(first=dataset.ids[a], second=dataset.ids[b], correlation=correlation)
        for (a, b), correlation in zip(
            alike.rows[crossing].tolist(), alike.correlations[crossing].tolist(), strict=True
        )
    )


def leak_error(leaks: Sequence[tuple[str, str]]) -> LeakError:
    """The error that names the first few of the (id, id) with the same pixels."""
    named = "; ".join(f"{first} and {second}" for first, second in leaks[:_NAMED_AT_MOST])
    more = f"; and {len(leaks) - _NAMED_AT_MOST} more" if len(leaks) > _NAMED_AT_MOST else ""
    return LeakError(
        f"no picture may be in two splits, but {len(leaks)} have the same pixels as one in "
        f"another: {named}{more}: remove one of each, or go on with --allow-leak, which the "
        "report then states"
    )


def check_trained(dataset: Dataset, given: Mapping[SplitName, IntArray]) -> None:
    """Every class that is validated or tested must be learnt.

    Raises:
        DataError: if a class is in another split and not in train.
    """
    for head, names in dataset.class_names.items():
        for split in ("validation", "test"):
            unlearnt = _classes(dataset, head, given[split]) - _classes(
                dataset, head, given["train"]
            )
            for label in sorted(unlearnt):
                raise DataError(
                    f"every class must have training images, {names[label]!r} ({head}) has images "
                    f"for {split} alone: add it to train, or remove it there"
                )


def warnings_of(
    dataset: Dataset,
    given: Mapping[SplitName, IntArray],
    similar: Sequence[SimilarPair],
    leaks: Sequence[tuple[str, str]],
) -> Iterator[str]:
    """Sentences on what makes the given split's figures doubtful, or impossible."""
    if leaks:
        yield (
            f"{_counted(leaks, 'picture')} with the same pixels as one in another split, which was "
            f"allowed: figures on them are too good ({leaks[0][0]} and {leaks[0][1]})"
        )
    if similar:
        yield (
            f"{_counted(similar, 'pair')} of pictures that look almost the same lie in different "
            f"splits: figures may be too good ({similar[0].first} and {similar[0].second})"
        )
    for head, names in dataset.class_names.items():
        trained = _classes(dataset, head, given["train"])
        for split in ("validation", "test"):
            absent = sorted(trained - _classes(dataset, head, given[split]))
            if absent and len(given[split]):
                listed = ", ".join(names[label] for label in absent)
                yield f"no {split} image of {listed} ({head}): nothing can be said about it there"


def _classes(dataset: Dataset, head: str, rows: IntArray) -> set[int]:
    return set(dataset.labels[head][rows].tolist()) - {UNKNOWN}


def _counted(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'s' if len(things) > 1 else ''}"

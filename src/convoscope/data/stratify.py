"""Dividing images among splits: each class by its share, what belongs together in one split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from convoscope.arrays import Array, IntArray, generator
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.errors import DataError

Stratum: TypeAlias = tuple[str, int]
"""A head and a label; the head ``""`` stands for combinations of all heads' labels."""

_Part = TypeVar("_Part", bound=str)
_Count = TypeVar("_Count", int, float)


def join(count: int, pairs: IntArray, *groupings: Sequence[str] | Array | None) -> IntArray:
    """The cluster (count,) of each image: those in one pair (M, 2), or with one name, are joined.

    A cluster is called by its first row.
    """
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def union(first: int, second: int) -> None:
        low, high = sorted((root(first), root(second)))
        parent[high] = low

    for first, second in pairs.tolist():
        union(first, second)
    for names in groupings:
        seen: dict[str, int] = {}
        for row, name in enumerate(names if names is not None else ()):
            union(seen.setdefault(str(name), row), row)
    return np.array([root(row) for row in range(count)], dtype=np.int64)


def divide(
    dataset: Dataset,
    rows: IntArray,
    clusters: IntArray,
    shares: Mapping[SplitName, float],
    *,
    seed: int,
) -> dict[SplitName, IntArray]:
    """``rows`` of the data set by split, each ascending; ``shares`` add to 1.

    ``clusters`` (N,) names what stays together. The rarest class is divided first, each of its
    clusters going to the split that lacks most of that class, so that several heads are stratified
    at once; their combinations too where each is frequent enough. The outcome depends on the seed
    and the images' ids, not on their order.

    Source: Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification of multi-label data",
    algorithm 1, https://doi.org/10.1007/978-3-642-23808-6_10; ours divides clusters, the largest
    first, and leaves no split without a class.

    Raises:
        DataError: if a class has too few images to be in every split.
    """
    wanted = [split for split in SPLIT_NAMES if shares.get(split, 0) > 0]
    units = shuffled_units(dataset, rows, clusters, seed)
    within = strata(units, class_columns(dataset, rows, min(shares[split] for split in wanted)))
    members = members_of(within)
    _check_enough(dataset, members, within, wanted)
    lacking = _places(Counter(each for found in within for each in found), wanted, shares)
    chosen = choose(members, within, lacking, wanted)
    divided: dict[SplitName, list[int]] = {split: [] for split in wanted}
    for number, split in chosen.items():
        divided[split] += units[number]
    indices = {split: np.array(sorted(found), dtype=np.int64) for split, found in divided.items()}
    _check_covered(dataset, rows, indices)
    return indices


def shuffled_units(
    dataset: Dataset, rows: IntArray, clusters: IntArray, seed: int
) -> list[list[int]]:
    """The rows of each cluster in seeded order, whatever order they came in; the largest first."""
    units: dict[int, list[int]] = {}
    for row, cluster in zip(rows.tolist(), clusters[rows].tolist(), strict=True):
        units.setdefault(cluster, []).append(row)
    by_id = sorted(units.values(), key=lambda unit: min(dataset.ids[row] for row in unit))
    order = generator(seed, "split").permutation(len(by_id)).tolist()
    return sorted((by_id[place] for place in order), key=len, reverse=True)


def class_columns(dataset: Dataset, rows: IntArray, least_share: float) -> dict[str, IntArray]:
    """Per head the labels (N,); with several heads also the number of their combination, if each
    combination is frequent enough to be in every split.
    """
    classes = dict(dataset.labels)
    if len(classes) > 1:
        table = np.stack(list(classes.values()), axis=1)
        _, combination, counts = np.unique(
            table[rows], axis=0, return_inverse=True, return_counts=True
        )
        if counts.min() * least_share >= 1:
            every = np.full(len(dataset), -1, np.int64)
            every[rows] = combination.ravel()
            classes[""] = every
    return classes


def strata(units: Sequence[Sequence[int]], columns: Mapping[str, IntArray]) -> list[list[Stratum]]:
    """For each cluster the strata of its images, one for every image and column."""
    return [[(head, int(of[row])) for head, of in columns.items() for row in u] for u in units]


def members_of(within: Sequence[Sequence[Stratum]]) -> dict[Stratum, list[int]]:
    """For each stratum the clusters that have images of it, in their order."""
    members: dict[Stratum, list[int]] = {}
    for number, found in enumerate(within):
        for each in dict.fromkeys(found):
            members.setdefault(each, []).append(number)
    return members


def _places(
    counts: Mapping[Stratum, int], wanted: Sequence[SplitName], shares: Mapping[SplitName, float]
) -> dict[Stratum, dict[SplitName, int]]:
    """How many images of each class every split should get, at least one.

    What rounding took from a split is owed to it in the next class, so that many small classes add
    up to the shares too.
    """
    owed: dict[tuple[str, SplitName], float] = {}
    places: dict[Stratum, dict[SplitName, int]] = {}
    for (head, label), count in sorted(counts.items()):
        here: dict[SplitName, int] = {}
        for split in wanted[1:]:
            exact = count * shares[split] + owed.get((head, split), 0.0)
            here[split] = max(1, int(np.floor(exact + 0.5)))
            owed[head, split] = float(np.clip(exact - here[split], -0.5, 0.5))
        if here and sum(here.values()) >= count:
            here[max(here, key=here.__getitem__)] -= 1
        places[head, label] = {wanted[0]: count - sum(here.values()), **here}
    return places


def choose(
    members: Mapping[Stratum, Sequence[int]],
    within: Sequence[Sequence[Stratum]],
    lacking: Mapping[Stratum, dict[_Part, _Count]],
    wanted: Sequence[_Part],
) -> dict[int, _Part]:
    """The part of each cluster, class by class, the rarest of those left first.

    ``lacking`` says how many images of each class a part should get, and is counted down.
    """
    chosen: dict[int, _Part] = {}
    empty = {each: set(wanted) for each in members}
    left = {each: len(numbers) for each, numbers in members.items()}
    pending = set(members)
    while pending:
        rarest = min(pending, key=lambda each: (left[each], each))
        pending.remove(rarest)
        for number in members[rarest]:
            if number in chosen:
                continue
            found = set(within[number])
            # The last clusters of a class are for the splits that have none of it.
            due = {s for each in found if left[each] <= len(empty[each]) for s in empty[each]}
            chosen[number] = split = max(
                [s for s in wanted if s in due] or wanted,
                key=lambda s: (lacking[rarest][s], sum(lacking[each][s] for each in found)),
            )
            for each in within[number]:
                lacking[each][split] -= 1
            for each in found:
                left[each] -= 1
                empty[each].discard(split)
    return chosen


def _check_enough(
    dataset: Dataset,
    members: Mapping[Stratum, Sequence[int]],
    within: Sequence[Sequence[Stratum]],
    wanted: Sequence[SplitName],
) -> None:
    for (head, label), numbers in sorted(members.items()):
        if head not in dataset.class_names or label < 0 or len(numbers) >= len(wanted):
            continue
        count = sum(within[number].count((head, label)) for number in numbers)
        alike = f", {len(numbers)} when those that belong together count once"
        raise DataError(
            f"to be in {_listed(wanted)}, a class must have at least {len(wanted)} different "
            f"images, {dataset.class_names[head][label]!r} ({head}) has {count}"
            f"{alike if count > len(numbers) else ''}: add images, leave the class out, or divide "
            "the images yourself into train, val and test folders"
        )


def _check_covered(dataset: Dataset, rows: IntArray, indices: Mapping[SplitName, IntArray]) -> None:
    """Every class must be in every split, which several heads or large clusters can prevent."""
    for head, names in dataset.class_names.items():
        labels = dataset.labels[head]
        for label in np.unique(labels[rows]).tolist():
            for split, found in indices.items():
                if label >= 0 and not (labels[found] == label).any():
                    raise DataError(
                        f"every class must be in {_listed(list(indices))}, but no image of "
                        f"{names[label]!r} ({head}) could be put into {split}, as too few do not "
                        "belong together with others: add images of it, or divide the images "
                        "yourself into train, val and test folders"
                    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]

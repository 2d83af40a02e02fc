"""Dividing images among splits: each class by its share, what belongs together in one split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from convoscope.arrays import Array, IntArray, generator
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.errors import DataError


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

    Images are divided within each combination of their labels, so that every split has its share
    of each. ``clusters`` (N,) names what stays together, counted where most of it belongs. The
    outcome depends on the seed and the images' ids, not on their order.

    Raises:
        DataError: if a class has too few images to be in every split.
    """
    wanted = [split for split in SPLIT_NAMES if shares.get(split, 0) > 0]
    strata = _strata(dataset, rows, clusters)
    is_single = len(dataset.labels) == 1
    owed = dict.fromkeys(wanted, 0.0)
    divided: dict[SplitName, list[int]] = {split: [] for split in wanted}
    for key in sorted(strata):
        units = strata[key]
        if is_single and len(units) < len(wanted):
            raise _too_few(dataset, key[0], units, wanted)
        places = _places(units, shares, owed, least=int(is_single))
        for split, unit in _assign(_shuffled(dataset, units, seed, key), places):
            divided[split] += unit
    indices = {split: np.array(sorted(found), dtype=np.int64) for split, found in divided.items()}
    _check_covered(dataset, rows, indices)
    return indices


def _strata(
    dataset: Dataset, rows: IntArray, clusters: IntArray
) -> dict[tuple[int, ...], list[list[int]]]:
    """The clusters of each combination of labels, every cluster where most of it belongs."""
    heads = sorted(dataset.labels)
    members: dict[int, list[int]] = {}
    for row in rows.tolist():
        members.setdefault(int(clusters[row]), []).append(row)
    labels = np.stack([dataset.labels[head] for head in heads], axis=1)
    strata: dict[tuple[int, ...], list[list[int]]] = {}
    for unit in members.values():
        found, counts = np.unique(labels[unit], axis=0, return_counts=True)
        key = tuple(found[counts.argmax()].tolist())
        strata.setdefault(key, []).append(unit)
    return strata


def _shuffled(
    dataset: Dataset, units: Sequence[list[int]], seed: int, key: tuple[int, ...]
) -> list[list[int]]:
    """The clusters in seeded order, whatever order they came in; the largest first."""
    by_id = sorted(units, key=lambda unit: min(dataset.ids[row] for row in unit))
    order = generator(seed, "split", *key).permutation(len(by_id)).tolist()
    return sorted((by_id[place] for place in order), key=len, reverse=True)


def _places(
    units: Sequence[list[int]],
    shares: Mapping[SplitName, float],
    owed: dict[SplitName, float],
    *,
    least: int,
) -> dict[SplitName, int]:
    """How many images of one stratum each split should get.

    What rounding took from a split is ``owed`` to it in the next stratum, so that many small ones
    add up to the shares too.
    """
    count = sum(map(len, units))
    places: dict[SplitName, int] = {}
    for split in [split for split in owed if split != "train"]:
        exact = count * shares[split] + owed[split]
        places[split] = max(least, int(np.floor(exact + 0.5)))
        owed[split] = float(np.clip(exact - places[split], -0.5, 0.5))
    places["train"] = count - sum(places.values())
    return places


def _assign(
    units: Sequence[list[int]], places: Mapping[SplitName, int]
) -> list[tuple[SplitName, list[int]]]:
    """Each cluster to the split that lacks most; the last ones to splits that have none yet."""
    lacking = dict(places)
    assigned: list[tuple[SplitName, list[int]]] = []
    empty = {split for split, count in places.items() if count > 0}
    for number, unit in enumerate(units):
        must_fill = empty and len(units) - number <= len(empty)
        choice = max(
            sorted(empty, key=SPLIT_NAMES.index) if must_fill else lacking, key=lacking.__getitem__
        )
        lacking[choice] -= len(unit)
        empty.discard(choice)
        assigned.append((choice, unit))
    return assigned


def _too_few(
    dataset: Dataset,
    label: int,
    units: Sequence[list[int]],
    wanted: Sequence[SplitName],
) -> DataError:
    ((_, names),) = dataset.class_names.items()
    count = sum(map(len, units))
    alike = f", {len(units)} when those that belong together count once" * (count > len(units))
    return DataError(
        f"to be in {_listed(wanted)}, a class must have at least {len(wanted)} different "
        f"images, {names[label]!r} has {count}{alike}: add images, leave the class out, or divide "
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
                        f"every class must be in {_listed(list(indices))}, but no image "
                        f"of {names[label]!r} ({head}) could be put into {split}, as too few do "
                        "not belong together with others: add images of it, or divide the images "
                        "yourself into train, val and test folders"
                    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]

"""Findings on pictures that are there twice, exactly or nearly, or belong together: in one class or
two, in one split or two.

Pictures are the same if their decoded pixels are, whatever their files' names and formats. Nearly
the same are those that :func:`~convoscope.data.similar.near_duplicates` finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from convoscope.arrays import Array, IntArray
from convoscope.data.class_indices import UNKNOWN
from convoscope.data.dataset import Dataset
from convoscope.data.facts import ImageFacts
from convoscope.data.findings import Finding, Group, Kind, Severity, counted
from convoscope.data.similar import SimilarRows, near_duplicates


def likeness_findings(
    dataset: Dataset, facts: ImageFacts, split_of: IntArray | None
) -> Iterator[Finding]:
    """What is there more than once; ``split_of`` (N,) numbers the splits, -1 for none of them."""
    yield from _exact(dataset, facts, split_of)
    yield from _near(dataset, facts, split_of)
    yield from _parted_groups(dataset, split_of)


def conflicts(dataset: Dataset, facts: ImageFacts) -> Finding | None:
    """The pictures that carry two labels, without looking for anything else."""
    rows = [rows for rows in _same(facts.pixel_hash) if differs(dataset, rows)]
    return _conflict(dataset, facts, rows) if rows else None


def differs(dataset: Dataset, rows: IntArray) -> bool:
    """Whether those images carry different labels in a head; what is not known contradicts none."""
    for labels in dataset.labels.values():
        known = labels[rows]
        if len(np.unique(known[known != UNKNOWN])) > 1:
            return True
    return False


def _exact(dataset: Dataset, facts: ImageFacts, split_of: IntArray | None) -> Iterator[Finding]:
    leaks, conflicting, others = [], [], []
    for rows in _same(facts.pixel_hash):
        leaks += [rows] * _crosses(split_of, rows)
        conflicting += [rows] * differs(dataset, rows)
        others += [rows] * (not _crosses(split_of, rows) and not differs(dataset, rows))
    if leaks:
        yield _finding(
            "leak",
            "wrong",
            f"{counted(len(leaks), 'picture is', 'pictures are')} in two splits "
            f"({_example(dataset, leaks[0])}): the network is tested on what it has learnt by "
            "heart, and its figures are too good; keep one of each",
            [_same_group(dataset, facts, rows) for rows in leaks],
        )
    if conflicting:
        yield _conflict(dataset, facts, conflicting)
    if others:
        yield _finding(
            "duplicate",
            "look",
            f"{counted(len(others), 'picture is', 'pictures are')} there more than once with the "
            f"same label ({_example(dataset, others[0])}): each counts double; keep one of each",
            [_same_group(dataset, facts, rows) for rows in others],
        )


def _conflict(dataset: Dataset, facts: ImageFacts, sets: Sequence[IntArray]) -> Finding:
    return _finding(
        "conflict",
        "wrong",
        f"{counted(len(sets), 'picture carries', 'pictures carry')} two different labels "
        f"({_example(dataset, sets[0])}): one of them must be wrong; keep the right one",
        [_same_group(dataset, facts, rows) for rows in sets],
    )


def _near(dataset: Dataset, facts: ImageFacts, split_of: IntArray | None) -> Iterator[Finding]:
    alike = _not_the_same(near_duplicates(facts), facts)
    crossing = np.array([_crosses(split_of, rows) for rows in alike.rows], bool)
    unlike = np.array([differs(dataset, rows) for rows in alike.rows], bool)
    if crossing.any():
        pairs = _pairs(dataset, alike, crossing)
        yield _finding(
            "near_leak",
            "wrong",
            f"{counted(len(pairs), 'pair')} of pictures that look almost the same "
            f"{_ending(pairs, 'lies', 'lie')} in different splits ({' and '.join(pairs[0].ids)}): "
            "the network is tested on what it has nearly seen, and its figures are too good; put "
            "both into the same split",
            pairs,
        )
    if (unlike & ~crossing).any():
        pairs = _pairs(dataset, alike, unlike & ~crossing)
        yield _finding(
            "near_conflict",
            "look",
            f"{counted(len(pairs), 'pair')} of pictures that look almost the same "
            f"{_ending(pairs, 'carries', 'carry')} different labels "
            f"({' and '.join(pairs[0].ids)}): look whether both labels are right",
            pairs,
        )
    rest = ~crossing & ~unlike
    if rest.any():
        clusters = _clusters(len(dataset), alike.rows[rest])
        yield _finding(
            "near_duplicate",
            "look",
            f"{counted(len(clusters), 'group')} of pictures {_ending(clusters, 'looks', 'look')} "
            f"almost the same ({_example(dataset, clusters[0])}): they count as several but teach "
            "little more than one; where convoscope divides, they stay in one split",
            [Group(caption="look almost the same", ids=_ids(dataset, rows)) for rows in clusters],
        )


def _parted_groups(dataset: Dataset, split_of: IntArray | None) -> Iterator[Finding]:
    """The data's own groups, such as the pictures of one patient, that lie in several splits."""
    if dataset.groups is None or split_of is None:
        return
    names = np.array(dataset.groups)
    parted = [rows for rows in _same(names) if _crosses(split_of, rows)]
    if parted:
        first = f"{names[parted[0][0]]}: {_example(dataset, _one_of_each(parted[0], split_of))}"
        yield _finding(
            "group_leak",
            "wrong",
            f"{counted(len(parted), 'group is', 'groups are')} in several splits ({first}): the "
            "network is tested on what belongs to pictures that it has learnt, and its figures "
            "are too good; put each group into one split",
            [
                Group(caption=str(names[rows[0]]), ids=_ids(dataset, _mixed(rows, split_of)))
                for rows in parted
            ],
        )


def _one_of_each(rows: IntArray, split_of: IntArray) -> IntArray:
    """The first image of each split."""
    _, first = np.unique(split_of[rows], return_index=True)
    return rows[first]


def _mixed(rows: IntArray, split_of: IntArray) -> IntArray:
    """All images, one of each split first."""
    first = _one_of_each(rows, split_of)
    return np.concatenate([first, np.setdiff1d(rows, first)])


def _finding(kind: Kind, severity: Severity, sentence: str, groups: Sequence[Group]) -> Finding:
    return Finding(
        kind=kind, severity=severity, sentence=sentence, count=len(groups), groups=tuple(groups)
    )


def _same(hashes: Array) -> list[IntArray]:
    """The rows of each value that is there more than once, ordered by their first row."""
    _, places, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    order = np.argsort(places, kind="stable")
    sets = np.split(order, np.cumsum(counts)[:-1]) if len(order) else []
    return sorted((rows for rows in sets if len(rows) > 1), key=lambda rows: int(rows[0]))


def _not_the_same(alike: SimilarRows, facts: ImageFacts) -> SimilarRows:
    """Without the pairs whose pixels are equal, which are exact duplicates."""
    others = facts.pixel_hash[alike.rows[:, 0]] != facts.pixel_hash[alike.rows[:, 1]]
    return SimilarRows(rows=alike.rows[others], correlations=alike.correlations[others])


def _clusters(count: int, pairs: IntArray) -> list[IntArray]:
    """The rows that are connected by pairs (M, 2), the largest cluster first."""
    ones = np.ones(len(pairs), bool)
    _, numbers = connected_components(
        coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count)), directed=False
    )
    return sorted(_same(numbers), key=lambda rows: -len(rows))


def _crosses(split_of: IntArray | None, rows: IntArray) -> bool:
    if split_of is None:
        return False
    splits = split_of[rows]
    return len(np.unique(splits[splits >= 0])) > 1


def _pairs(dataset: Dataset, alike: SimilarRows, wanted: Array) -> list[Group]:
    """The wanted pairs, the most alike first."""
    order = np.argsort(-alike.correlations[wanted], kind="stable")
    return [
        Group(
            caption=f"{correlation:.3f} correlated",
            ids=_ids(dataset, rows),
        )
        for rows, correlation in zip(
            alike.rows[wanted][order], alike.correlations[wanted][order].tolist(), strict=True
        )
    ]


def _same_group(dataset: Dataset, facts: ImageFacts, rows: IntArray) -> Group:
    is_one_file = len(set(facts.sha256[rows].tolist())) == 1
    return Group(
        caption="the same file" if is_one_file else "the same pixels in different files",
        ids=_ids(dataset, rows),
    )


def _ids(dataset: Dataset, rows: IntArray) -> tuple[str, ...]:
    return tuple(dataset.ids[row] for row in rows.tolist())


def _example(dataset: Dataset, rows: IntArray) -> str:
    first, second, *_ = _ids(dataset, rows)
    return f"{first} and {second}"


def _ending(things: Sequence[object], one: str, many: str) -> str:
    return one if len(things) == 1 else many

"""Folds for cross-validation: every image is in the test split of exactly one of them.

What belongs together - identical pixels, near-duplicates, the data's own groups - is tested in one
fold, so that no network is tested on a picture whose twin it was trained on.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from convoscope.arrays import IntArray
from convoscope.data.cache import Decoded
from convoscope.data.dataset import OUT_OF_FOLD, Dataset, SplitName
from convoscope.data.similar import near_duplicates
from convoscope.data.splits import Splits, label_word
from convoscope.data.stratify import (
    Stratum,
    choose,
    class_columns,
    divide,
    join,
    members_of,
    shuffled_units,
    strata,
)
from convoscope.disk import write_text
from convoscope.errors import DataError, SettingsError, placed

# A stratum that every image is in, so that folds are also equally large.
_EVERY = "\0all"


def check_folds(folds: int) -> None:
    """Refuse a number of folds that leaves nothing to train on.

    Raises:
        SettingsError: if there are fewer than two.
    """
    if folds < 2:
        raise SettingsError(
            f"folds must be at least 2, so that there are images to train on, got {folds}: "
            "5 and 10 are usual"
        )


def make_folds(
    decoded: Decoded, *, folds: int, seed: int, validation: float = 0.1
) -> tuple[Splits, ...]:
    """Divide the images into ``folds`` parts, each of them the test split of one of the results.

    Of the images that a fold does not test, a share ``validation`` is held out to choose the best
    epoch by; the rest are trained on. Each class is spread over the folds as evenly as groups
    allow. A split that the source came with is not used, which a note says. The outcome depends on
    the seed and the images' ids, not on their order.

    Raises:
        SettingsError: if there are fewer than two folds, or the share is out of range.
        DataError: if a class has too few images, or too few groups, to be in every fold.
    """
    check_folds(folds)
    if not 0 <= validation < 1:
        raise SettingsError(f"validation must be a share of at least 0 and below 1: {validation}")
    dataset = decoded.dataset
    with placed(dataset.place):
        alike = near_duplicates(decoded.facts)
        clusters = join(len(dataset), alike.rows, decoded.facts.pixel_hash, dataset.groups)
        tested = fold_of_each(dataset, clusters, folds=folds, seed=seed)
        return tuple(
            _splits(dataset, clusters, tested, fold, seed, validation) for fold in range(folds)
        )


def fold_of_each(dataset: Dataset, clusters: IntArray, *, folds: int, seed: int) -> IntArray:
    """The fold (N,), from 0, that tests each image; ``clusters`` (N,) names what stays together.

    Source: Sechidis, Tsoumakas and Vlahavas 2011, as in :func:`convoscope.data.stratify.divide`,
    with the same share for each fold and with the number of images as one more class.

    Raises:
        DataError: if a class cannot be in every fold.
    """
    rows = np.arange(len(dataset))
    units = shuffled_units(dataset, rows, clusters, seed)
    columns = {
        **class_columns(dataset, rows, 1 / folds),
        _EVERY: np.zeros(len(dataset), dtype=np.int64),
    }
    within = strata(units, columns)
    members = members_of(within)
    names = [str(fold) for fold in range(folds)]
    _check_enough(dataset, members, within, folds)
    counts = Counter(each for found in within for each in found)
    lacking = {each: dict.fromkeys(names, n / folds) for each, n in counts.items()}
    fold = np.empty(len(dataset), dtype=np.int64)
    for number, name in choose(members, within, lacking, names).items():
        fold[units[number]] = int(name)
    _check_covered(dataset, fold, folds)
    return fold


def write_folds(path: Path, decoded: Decoded, folds: Sequence[Splits]) -> None:
    """Write a CSV file: ``file``, the class's name per head, ``split``, ``fold`` from 1,
    ``group``, ``sha256``.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    dataset = decoded.dataset
    groups = dataset.groups or ("",) * len(dataset)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *dataset.class_names, "split", "fold", "group", "sha256"])
    for row, fold in enumerate(_tested(dataset, folds).tolist()):
        words = [label_word(dataset, head, row) for head in dataset.class_names]
        rest = [OUT_OF_FOLD, fold + 1, groups[row].lstrip("\0"), decoded.facts.sha256[row]]
        writer.writerow([dataset.ids[row], *words, *rest])
    write_text(path, text.getvalue())


def is_divided_as_in(path: Path, dataset: Dataset, folds: Sequence[Splits]) -> bool:
    """Whether such a file puts each image of the data set into the fold that tests it here."""
    with path.open(encoding="utf-8", newline="") as lines:
        written = {line["file"]: line["fold"] for line in csv.DictReader(lines)}
    now = zip(dataset.ids, _tested(dataset, folds).tolist(), strict=True)
    return written == {name: str(fold + 1) for name, fold in now}


def _tested(dataset: Dataset, folds: Sequence[Splits]) -> IntArray:
    """The fold (N,), from 0, that tests each image."""
    tested = np.full(len(dataset), -1, dtype=np.int64)
    for fold, splits in enumerate(folds):
        tested[splits.indices["test"]] = fold
    return tested


def _splits(
    dataset: Dataset,
    clusters: IntArray,
    tested: IntArray,
    fold: int,
    seed: int,
    validation: float,
) -> Splits:
    shares: dict[SplitName, float] = {"train": 1 - validation, "validation": validation}
    with placed(f"fold {fold + 1}"):
        learnt = divide(dataset, np.flatnonzero(tested != fold), clusters, shares, seed=seed)
    indices: dict[SplitName, IntArray] = {
        "train": learnt["train"],
        "validation": learnt.get("validation", np.empty(0, np.int64)),
        "test": np.flatnonzero(tested == fold),
    }
    is_split = dataset.given_split is not None
    note = "the data's own split is not used: every image is tested in one of the folds"
    return Splits(indices=indices, is_given=False, notes=(note,) * is_split)


def _check_enough(
    dataset: Dataset,
    members: Mapping[Stratum, Sequence[int]],
    within: Sequence[Sequence[Stratum]],
    folds: int,
) -> None:
    """Name the rarest class where one has fewer images, or groups, than there are folds."""
    known = [each for each in members if each[0] in dataset.class_names and each[1] >= 0]
    rarest = min(known, key=lambda each: (len(members[each]), each))
    found = len(members[rarest])
    if found >= folds:
        return
    head, label = rarest
    images = sum(within[number].count(rarest) for number in members[rarest])
    alike = f", {found} when those that belong together count once" if images > found else ""
    advice = f"take {found} folds at most, add images" if found > 1 else "add images"
    raise DataError(
        f"to be in each of {folds} folds, a class must have at least {folds} images, "
        f"{dataset.class_names[head][label]!r} ({head}) has {images}{alike}: {advice}, or leave "
        "the class out"
    )


def _check_covered(dataset: Dataset, fold: IntArray, folds: int) -> None:
    """Every class must be in every fold, which several heads or large clusters can prevent."""
    for head, names in dataset.class_names.items():
        labels = dataset.labels[head]
        for label in np.unique(labels[labels >= 0]).tolist():
            found = len(np.unique(fold[labels == label]))
            if found < folds:
                raise DataError(
                    f"every class must be in each of {folds} folds, but {names[label]!r} ({head}) "
                    f"could be put into {found} only, as too few of its images do not belong "
                    "together with others: take fewer folds, or add images of it"
                )

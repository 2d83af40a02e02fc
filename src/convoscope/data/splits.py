"""Which image is for training, which for choosing, which for testing: decided once, kept in a file.

Where the source comes split, its split is used and checked: the same pixels in two splits stop the
job. Where it does not, images are divided by class with a seed, and what looks alike stays
together. Nothing is ever chosen by the test set, so where a source has folders for training and
validation alone, the validation folder becomes the test set and a part of train is held out.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convoscope.arrays import IntArray
from convoscope.data.cache import Decoded, sha256_of
from convoscope.data.class_indices import UNKNOWN
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.data.given_splits import (
    across,
    check_trained,
    given_split,
    leak_error,
    leaks_between,
    warnings_of,
)
from convoscope.data.groups import check_whole
from convoscope.data.similar import SimilarPair, near_duplicates
from convoscope.data.split_words import split_named
from convoscope.data.stratify import divide, join
from convoscope.data.workers import ordered
from convoscope.disk import write_text
from convoscope.errors import DataError, SettingsError, first_few, placed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Splits:
    """Which rows of a data set are for what; no row is in two splits.

    ``indices`` has all three splits, each (n,) int64 ascending, empty where there is none.
    ``is_given``: the source came split. ``similar`` are near-duplicates that lie in two splits,
    which only a given split allows; ``leaks`` are images, by their ids, with the same pixels in
    two splits, there only where that was allowed. ``notes`` are sentences a person should see.
    """

    indices: Mapping[SplitName, IntArray]
    is_given: bool
    similar: tuple[SimilarPair, ...] = ()
    leaks: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def check_shares(validation: float, test: float) -> None:
    """Raise ``SettingsError`` unless both are shares of at least 0 and below 1."""
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise SettingsError(f"{name} must be a share of at least 0 and below 1, got {share}")


def make_splits(
    decoded: Decoded,
    *,
    seed: int,
    validation: float = 0.1,
    test: float = 0.2,
    allow_leak: bool = False,
) -> Splits:
    """The source's own split, or one made: ``test`` of all images, ``validation`` of the rest.

    A missing validation split is held out of train. With a share of 0 there is no such split.
    Identical pixels, near-duplicates and the data's own groups are kept together where we divide.

    Raises:
        DataError: if there is no training image, a class has too few images, or one is tested
            that is never trained.
        LeakError: if given splits share identical pixels or images of one group, and ``allow_leak``
            is not set.
        SettingsError: if a share is out of range.
    """
    check_shares(validation, test)
    dataset = decoded.dataset
    with placed(dataset.place):
        check_classes_left(dataset)
        given, notes = given_split(dataset)
        alike = near_duplicates(decoded.facts)
        clusters = join(len(dataset), alike.rows, decoded.facts.pixel_hash, dataset.groups)
        if given is None:
            rows = np.arange(len(dataset))
            indices = _divided(dataset, rows, clusters, validation, test, seed)
            return Splits(indices=indices, is_given=False, notes=notes)
        check_trained(dataset, given)
        leaks = leaks_between(decoded, given)
        if leaks and not allow_leak:
            raise leak_error(leaks)
        if not len(given["validation"]) and validation:
            held_out = _divided(dataset, given["train"], clusters, validation, 0, seed)
            given = {**held_out, "test": given["test"]}
            notes += (f"{validation:.0%} of the training images are held out for validation",)
        similar = across(dataset, given, alike)
        torn = check_whole(dataset, given, allow_leak=allow_leak)
        return Splits(
            indices=given,
            is_given=True,
            similar=similar,
            leaks=leaks,
            notes=(*notes, *torn, *warnings_of(dataset, given, similar, leaks)),
        )


def write_splits(path: Path, decoded: Decoded, splits: Splits) -> None:
    """Write a CSV file: ``file``, the class's name per head, ``split``, ``sha256``.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    dataset = decoded.dataset
    split_of = {row: split for split, rows in splits.indices.items() for row in rows.tolist()}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *dataset.class_names, "split", "sha256"])
    for row in sorted(split_of):
        words = [label_word(dataset, head, row) for head in dataset.class_names]
        sha256 = decoded.facts.sha256[row]
        writer.writerow([dataset.ids[row], *words, split_of[row], sha256])
    write_text(path, text.getvalue())


def read_splits(path: Path, dataset: Dataset) -> Splits:
    """The split in such a file, for the rows of ``dataset``.

    Labels and hashes are checked where the file has them; a file written by hand needs the
    columns ``file`` and ``split`` alone. Images that it does not name are left out, with a note.

    Raises:
        DataError: if the file is missing or no such file, names an image that the data does not
            have, or one whose bytes or label are others than when it was written.
    """
    with placed(str(path)):
        lines = _read_lines(path)
        rows = {name: row for row, name in enumerate(dataset.ids)}
        _check_named(lines, rows, dataset)
        _check_same(lines, rows, dataset)
        found: dict[SplitName, list[int]] = {split: [] for split in SPLIT_NAMES}
        for line in lines:
            found[_split(line)].append(rows[line["file"]])
    unnamed = len(dataset) - len(lines)
    return Splits(
        indices={split: np.array(sorted(rows), np.int64) for split, rows in found.items()},
        is_given=True,
        notes=(f"{unnamed} images that {path.name} does not name were left out",) * (unnamed > 0),
    )


def _divided(
    dataset: Dataset,
    rows: IntArray,
    clusters: IntArray,
    validation: float,
    test: float,
    seed: int,
) -> dict[SplitName, IntArray]:
    shares: dict[SplitName, float] = {
        "train": (1 - test) * (1 - validation),
        "validation": (1 - test) * validation,
        "test": test,
    }
    none = np.empty(0, np.int64)
    divided = divide(dataset, rows, clusters, shares, seed=seed)
    return {split: divided.get(split, none) for split in SPLIT_NAMES}


def check_classes_left(dataset: Dataset) -> None:
    """Every class has images: a folder may be empty, or have lost all of them to --skip-unreadable.

    Raises:
        DataError: names the first class that has none.
    """
    for head, names in dataset.class_names.items():
        counts = np.bincount(dataset.labels[head] + 1, minlength=len(names) + 1)[1:]
        for label in np.flatnonzero(counts == 0).tolist():
            raise DataError(
                f"every class must have images that can be read, {names[label]!r} ({head}) has "
                "none: add some, or leave the class out"
            )


# -- the file -------------------------------------------------------------------------------------


def _read_lines(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"a split must be a CSV file in UTF-8 that can be read, the system said "
            f"{getattr(error, 'strerror', None) or error}: check the path"
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = {"file", "split"} - set(reader.fieldnames or ())
    if missing:
        raise DataError(
            f"a split file must have the columns file and split, got "
            f"{', '.join(reader.fieldnames or ()) or 'none'}: name the columns in its first line"
        )
    return list(reader)


def _split(line: Mapping[str, str]) -> SplitName:
    word = line["split"] or ""
    split = split_named(word)
    if split is None:
        raise DataError(
            f"file {line['file']!r}: split must be one of {', '.join(SPLIT_NAMES)}, "
            f"got {word!r}: mend that line"
        )
    return split


def _check_named(
    lines: Sequence[Mapping[str, str]], rows: Mapping[str, int], dataset: Dataset
) -> None:
    """Every image of the file is in the data, once."""
    missing = [line["file"] for line in lines if line["file"] not in rows]
    if missing:
        raise DataError(
            f"every image of the split must be in {dataset.place}, {len(missing)} of "
            f"{len(lines)} are not there: {first_few(missing)}: put them back, or divide again"
        )
    twice = [name for name, count in Counter(line["file"] for line in lines).items() if count > 1]
    if twice:
        raise DataError(
            f"an image must be in one split only, {len(twice)} are listed more than once: "
            f"{first_few(twice)}: keep one line of each"
        )


def _check_same(
    lines: Sequence[Mapping[str, str]], rows: Mapping[str, int], dataset: Dataset
) -> None:
    """Bytes and labels are those of when the file was written, where it says."""
    for head in dataset.class_names:
        for line in lines:
            now = label_word(dataset, head, rows[line["file"]])
            if line.get(head, now) != now:
                raise DataError(
                    f"file {line['file']!r}: its {head} must be what it was when the images were "
                    f"divided, {line[head]!r}, it is now {now!r}: put it back, or divide again"
                )

    def is_changed(line: Mapping[str, str]) -> bool:
        row = rows[line["file"]]
        with placed(dataset.ids[row]):
            return bool(line.get("sha256")) and sha256_of(dataset, row) != line["sha256"]

    changed = [
        line["file"]
        for line, is_other in zip(lines, ordered(is_changed, lines), strict=True)
        if is_other
    ]
    if changed:
        raise DataError(
            f"images must be the bytes they were when they were divided, {len(changed)} of "
            f"{len(lines)} have changed: {first_few(changed)}: put them back, or divide again"
        )


def label_word(dataset: Dataset, head: str, row: int) -> str:
    """The name of an image's class, empty where it is not known."""
    label = int(dataset.labels[head][row])
    return dataset.class_names[head][label] if label != UNKNOWN else ""

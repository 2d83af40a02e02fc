"""Divide a data set and say what is in it, before any network is chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from convoscope.data.audit import Spread, class_counts, split_numbers, spread
from convoscope.data.cache import Decoded
from convoscope.data.dataset import Dataset, SplitName
from convoscope.data.sources import open_dataset
from convoscope.data.splits import Splits, make_splits, write_splits
from convoscope.errors import ConvoscopeError, SettingsError, UnreadableImageError
from convoscope.jobs.data_check import facts_of_all
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.source import ReadingOptions, reading

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What there is: images per head, class and split, as the source says and as training would
    divide them. ``planned`` is empty, and ``problem`` says why, where it cannot be divided.
    """

    name: str
    place: str
    files: int
    images: int
    is_given_split: bool
    counts: Counts
    planned: Counts
    problem: str | None
    width: Spread
    height: Spread
    modes: Mapping[str, int]
    gray: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that ``data info --json`` prints."""
        return {
            "schema_version": 1,
            "name": self.name,
            "place": self.place,
            "files": self.files,
            "images": self.images,
            "is_given_split": self.is_given_split,
            "counts": self.counts,
            "planned": self.planned,
            "problem": self.problem,
            "width": self.width.to_json(),
            "height": self.height.to_json(),
            "modes": dict(self.modes),
            "gray": self.gray,
            "notes": list(self.notes),
        }


def info(
    data: str | Path,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    group_by: str | None = None,
    progress: Progress = unwatched,
    **options: Unpack[ReadingOptions],
) -> Info:
    """Count the images of ``data``, by class, split, size and mode.

    ``group_by`` says which images must stay together, as in :mod:`convoscope.data.groups`.
    ``options`` say how it is read, as they do when training.

    Raises:
        DataError: if the data cannot be opened.
        UnreadableImageError: if no image can be read.
        SettingsError: if a share is out of range.
    """
    dataset = open_dataset(data, group_by=group_by, reading=reading(options))
    decoded = facts_of_all(dataset, progress)
    planned, problem, notes = _plan(decoded, validation, test, seed)
    facts = decoded.facts
    unreadable = (f"{name} cannot be read: {reason}" for name, reason in decoded.skipped)
    return Info(
        name=dataset.name,
        place=dataset.place,
        files=len(dataset),
        images=len(decoded.dataset),
        is_given_split=dataset.given_split is not None,
        counts=class_counts(decoded.dataset, split_numbers(decoded.dataset)),
        planned=planned,
        problem=problem,
        width=spread(facts.width),
        height=spread(facts.height),
        modes=dict(Counter(facts.mode.tolist()).most_common()),
        gray=int(facts.is_gray.sum()),
        notes=(*dataset.notes, *notes, *unreadable),
    )


def divide(
    data: str | Path,
    out: str | Path,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    group_by: str | None = None,
    skip_unreadable: bool = False,
    replace: bool = False,
    progress: Progress = unwatched,
    **options: Unpack[ReadingOptions],
) -> tuple[Dataset, Splits]:
    """Write the split file that ``train --split`` reads; gives what was divided, and how.

    ``group_by`` says which images must stay together, as in :mod:`convoscope.data.groups`.
    ``options`` say how it is read, as they do when training.

    Raises:
        SettingsError: if the file is there already and ``replace`` is not set, or a share is out
            of range.
        UnreadableImageError: if an image cannot be read and ``skip_unreadable`` is not set.
        DataError: if the images cannot be divided.
        LeakError: if they come divided, with the same picture in two splits.
        StorageError: if the file cannot be written.
    """
    path = Path(out)
    if path.exists() and not replace:
        raise SettingsError(
            f"{path}: a split is only written where nothing is yet, this file is there already: "
            "name another with --out, or overwrite it with --replace"
        )
    decoded = facts_of_all(
        open_dataset(data, group_by=group_by, reading=reading(options)), progress
    )
    if decoded.skipped and not skip_unreadable:
        name, reason = decoded.skipped[0]
        raise UnreadableImageError(
            f"{decoded.dataset.place}: every image must be readable, {len(decoded.skipped)} are "
            f"not, such as {name}, where {reason}: mend or remove them, or divide the others with "
            "--skip-unreadable"
        )
    splits = make_splits(decoded, seed=seed, validation=validation, test=test)
    write_splits(path, decoded, splits)
    return decoded.dataset, splits


def _plan(
    decoded: Decoded, validation: float, test: float, seed: int
) -> tuple[Counts, str | None, tuple[str, ...]]:
    """What training would divide the images into; or why it cannot."""
    try:
        splits = make_splits(decoded, seed=seed, validation=validation, test=test, allow_leak=True)
    except SettingsError:
        raise
    except ConvoscopeError as error:
        return {}, str(error), ()
    return counts_of(decoded.dataset, splits.indices), None, splits.notes


def counts_of(dataset: Dataset, indices: Mapping[SplitName, Any]) -> Counts:
    """Images per head, class and split of such a division."""
    return class_counts(dataset, split_numbers(dataset, indices))

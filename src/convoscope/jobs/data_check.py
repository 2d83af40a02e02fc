"""Check a data set, say what is in it, divide it: everything before training that needs no network.

Facts are gathered by decoding once, into an entry of the cache whose pictures are as small as the
facts allow; the few pictures that are shown are opened again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from convoscope.arrays import ByteArray, IntArray
from convoscope.data.audit import Audit, audit, quick_findings, split_numbers
from convoscope.data.cache import Decoded, decode
from convoscope.data.class_indices import UNKNOWN
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.data.decoding import open_image
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.reading import OPTIONS
from convoscope.data.sources import open_dataset
from convoscope.data.splits import read_splits
from convoscope.data.suspicions import in_brief
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.request import TrainRequest, quoted
from convoscope.jobs.source import ReadingOptions, reading
from convoscope.pictures.thumbnails import shrink

_SAID_AT_MOST = 3
_FACTS_ALONE = Preprocessing(size=(1, 1), order="gray")
"""The pixels are not needed; 10,000 images then take 10 kB of the cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """A data set that was checked; ``split`` holds the rows of a split file, if one was named."""

    audit: Audit
    decoded: Decoded
    split: Mapping[SplitName, IntArray] | None

    def _repr_html_(self) -> str:
        return self.audit._repr_html_()


def check(
    data: str | Path,
    *,
    split: str | Path | None = None,
    group_by: str | None = None,
    seed: int = 0,
    progress: Progress = unwatched,
    **options: Unpack[ReadingOptions],
) -> Checked:
    """Look for everything that makes the figures of a network trained on ``data`` misleading.

    ``split`` names a split file to check the images by, instead of the source's own split;
    ``group_by`` says which images belong together, as in :mod:`convoscope.data.groups`.
    ``options`` say how it is read, as they do when training.

    Raises:
        DataError: if the data cannot be opened at all, or grouped like that, or the split file is
            not of this data.
        UnreadableImageError: if no image can be read.
    """
    dataset = open_dataset(data, group_by=group_by, reading=reading(options))
    named = None if split is None else read_splits(Path(split), dataset).indices
    decoded = facts_of_all(dataset, progress)
    rows = None if named is None else _kept(named, dataset, decoded.dataset)
    return Checked(
        audit=audit(decoded, split=rows, seed=seed),
        decoded=decoded,
        split=rows,
    )


def facts_of_all(dataset: Dataset, progress: Progress = unwatched) -> Decoded:
    """The facts of every image that can be read; the decoded images themselves are of no use."""
    return decode(
        dataset,
        preprocessing=_FACTS_ALONE,
        skip_unreadable=True,
        progress=lambda done, total: progress("reading", done, total),
    )


def small_pictures(checked: Checked, ids: Iterable[str]) -> dict[str, ByteArray]:
    """A small picture (H, W, C) uint8 of each of those images, in its own aspect, by its id."""
    dataset = checked.decoded.dataset
    rows = {name: row for row, name in enumerate(dataset.ids)}
    found = {}
    for name in dict.fromkeys(ids):
        if name in rows:
            (found[name],) = shrink(whole_picture(dataset, rows[name])[None])
    return found


def whole_picture(dataset: Dataset, row: int) -> ByteArray:
    """An image as it is, (H, W, C) uint8.

    Raises:
        UnreadableImageError: if it has been taken away since it was decoded.
    """
    if dataset.files is not None:
        return open_image(dataset.files[row])
    assert dataset.pixels is not None, "a data set has files or pixels"
    return np.asarray(dataset.pixels[row], np.uint8)


def described(checked: Checked, ids: Iterable[str]) -> dict[str, str]:
    """What each of those images is said to be, by its id: ``"cat, train"``."""
    dataset = checked.decoded.dataset
    rows = {name: row for row, name in enumerate(dataset.ids)}
    split_of = split_numbers(dataset, checked.split)
    return {name: _described(dataset, rows[name], split_of) for name in ids if name in rows}


def training_notes(decoded: Decoded, asked: TrainRequest) -> tuple[str, ...]:
    """What the check would say that training does not say anyway, in one line; or none."""
    said = []
    for finding in quick_findings(decoded.dataset, decoded.facts):
        if finding.clues:
            shortcuts = [clue.shortcut for clue in finding.clues]
            name = shortcuts[0].class_name
            if len(decoded.dataset.labels) > 1:
                name = f"{finding.head} {name}"
            said.append(f"{name} can be told from the rest by {in_brief(shortcuts)} alone")
        else:
            said.append(finding.sentence)
    if not said:
        return ()
    if len(said) > _SAID_AT_MOST:
        more = len(said) - _SAID_AT_MOST
        said = [*said[:_SAID_AT_MOST], f"and {more} more of that kind"]
    command = ("convoscope", "data", "check", asked.data, *asked.words((*OPTIONS, "group_by")))
    return (f"data check: {'; '.join(said)}; see  {quoted(command)}",)


def _kept(
    split: Mapping[SplitName, IntArray], dataset: Dataset, readable: Dataset
) -> dict[SplitName, IntArray]:
    """The rows of a split of ``dataset`` as rows of what is left of it."""
    if len(readable) == len(dataset):
        return dict(split)
    place = {name: row for row, name in enumerate(readable.ids)}
    return {
        name: np.array(
            [place[dataset.ids[row]] for row in rows.tolist() if dataset.ids[row] in place],
            np.int64,
        )
        for name, rows in split.items()
    }


def _described(dataset: Dataset, row: int, split_of: IntArray | None) -> str:
    words = []
    for head, labels in dataset.labels.items():
        label = int(labels[row])
        words.append(dataset.class_names[head][label] if label != UNKNOWN else "no label")
    if split_of is not None and split_of[row] >= 0:
        words.append(SPLIT_NAMES[split_of[row]])
    return ", ".join(words)

r"""What belongs together: pictures of one animal, patient or video stay in one split.

A grouping is asked for in a word: ``folder``, a column of the table that the data comes from, or a
pattern that is looked for in each image's id. A pattern is a regular expression with one pair of
parentheses around what names the group, ``patient(\d+)``, or has one ``*`` there,
``patient*_``, which stands for any characters but ``/``; ``?`` then stands for any one of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from convoscope.arrays import IntArray
from convoscope.data.dataset import Dataset, SplitName
from convoscope.errors import DataError, LeakError, SettingsError, first_few

FOLDER = "folder"
_SIGNS_OF_A_PATTERN = frozenset("()[]{}*?+^$|\\")


def is_column(word: str) -> bool:
    """Whether a grouping asks for a column, and neither for the folder nor for a pattern."""
    return word != FOLDER and not _SIGNS_OF_A_PATTERN & set(word)


def grouped(dataset: Dataset, word: str) -> Dataset:
    """The data set with the groups that ``word`` asks for; those of a column it has already.

    An image in which a pattern is not found is a group of its own, which a note says.

    Raises:
        SettingsError: if a column is asked for where there is none, or the pattern is none.
        DataError: if the pattern is found in no image, or every image would be its own group.
    """
    if is_column(word):
        if dataset.groups is None:
            raise SettingsError(
                f"group_by {word!r}: only a table has columns, {dataset.place} is none: say "
                "folder, or a pattern such as 'patient(\\d+)' that is looked for in each image's "
                "path"
            )
        names, missed = dataset.groups, 0
    elif word == FOLDER:
        names, missed = tuple(str(PurePosixPath(id_).parent) for id_ in dataset.ids), 0
    else:
        names, missed = _found(dataset, word)
    notes = [_summary(names, word)]
    if missed:
        notes.append(
            f"{word!r} is not found in {missed} of {len(names)} images: each is a group of its own"
        )
    return replace(dataset, groups=names, notes=(*dataset.notes, *notes))


def pattern(word: str) -> re.Pattern[str]:
    r"""The regular expression that a pattern means: ``patient*_`` is ``patient([^/]*?)_``.

    Raises:
        SettingsError: if it is not one that marks the group once.
    """
    is_glob = set(word) & _SIGNS_OF_A_PATTERN <= {"*", "?"}
    if is_glob and word.count("*") != 1:
        raise SettingsError(
            f"group_by {word!r}: a pattern must have one * where the group's name stands, got "
            f"{word.count('*')}: write one, such as 'patient*_', or a regular expression"
        )
    try:
        found = re.compile(_translated(word) if is_glob else word)
    except re.error as error:
        raise SettingsError(
            f"group_by {word!r}: must be a regular expression, reading it gave {error}: mend it"
        ) from error
    if found.groups != 1:
        raise SettingsError(
            f"group_by {word!r}: a regular expression must have one pair of parentheses around "
            f"what names the group, got {found.groups}: write it like 'patient(\\d+)'; (?:...) "
            "does not count"
        )
    return found


def torn(dataset: Dataset, indices: Mapping[SplitName, IntArray]) -> tuple[str, ...]:
    """The groups of which there are images in more than one split, in the order of the images."""
    if dataset.groups is None:
        return ()
    home: dict[str, SplitName] = {}
    found: dict[str, None] = {}
    for split, rows in indices.items():
        for row in rows.tolist():
            if home.setdefault(dataset.groups[row], split) != split:
                found[dataset.groups[row]] = None
    return tuple(found)


def check_whole(
    dataset: Dataset, indices: Mapping[SplitName, IntArray], *, allow_leak: bool
) -> tuple[str, ...]:
    """Refuse a split that tears groups apart, or say so in a note where that is allowed.

    Raises:
        LeakError: if a group is in two splits and ``allow_leak`` is not set.
    """
    groups = torn(dataset, indices)
    if not groups:
        return ()
    named = first_few([repr(group) for group in groups])
    if not allow_leak:
        raise LeakError(
            f"a group must be in one split, but the images of {named} are in several: "
            "put each group into one split, or go on with --allow-leak, which the report then "
            "states"
        )
    count = f"{len(groups)} group{'s' if len(groups) > 1 else ''}"
    return (
        f"images of {count} are in more than one split, which was allowed: figures on them are "
        f"too good ({named})",
    )


def _found(dataset: Dataset, word: str) -> tuple[tuple[str, ...], int]:
    """The group of each image, and how many have none."""
    look = pattern(word)
    matches = [look.search(id_) for id_ in dataset.ids]
    names = [match.group(1) if match else None for match in matches]
    missed = names.count(None)
    if missed == len(names):
        raise DataError(
            f"group_by {word!r}: a pattern must be found in the images' paths, it is in none of "
            f"{len(names)}, such as {dataset.ids[0]!r}: mend it"
        )
    # No group's name begins with a NUL, so an image of its own can join no group by accident.
    own = zip(names, dataset.ids, strict=True)
    return tuple(f"\0{id_}" if name is None else name for name, id_ in own), missed


def _translated(glob: str) -> str:
    signs = {"*": "([^/]*?)", "?": "[^/]"}
    return "".join(signs.get(letter, re.escape(letter)) for letter in glob)


def _summary(names: Sequence[str], word: str) -> str:
    counts = Counter(names)
    (_, largest), *_ = counts.most_common(1)
    if largest == 1:
        raise DataError(
            f"group_by {word!r}: some images must belong together, but each of {len(names)} is a "
            "group of its own: leave it out, or group by what several images share"
        )
    return (
        f"{len(names)} images are {len(counts)} groups by {word!r}, the largest has {largest}; "
        "each group stays in one split"
    )

"""Which part of a named set is asked for, in the words that follow its name.

``NAME[:CLASS,CLASS,...][@TRAIN/[VALIDATION/]TEST[#SEED]]``::

    mnist                                        as its authors divided it
    mnist@42000/28000                            all 70,000 images divided anew
    caltech101:ketch,chandelier,bonsai@50/10/20  three classes, 80 images of each

The numbers count images in all, by class as the classes are frequent; or, for the sets whose row
says so, images of each class. The choice depends on the seed after ``#``, 0 if there is none, and
on the images' names: never on the seed of a training. Identical files stay in one split. A set that
is drawn, such as ``lines``, has words of its own instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from convoscope.arrays import IntArray
from convoscope.data.cache import sha256_of
from convoscope.data.catalogue.named import NamedSet
from convoscope.data.catalogue.table import NAMED
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName, take
from convoscope.data.stratify import join, shuffled_units
from convoscope.data.workers import ordered
from convoscope.errors import DataError, SettingsError, unknown_name

_WORDS = re.compile(
    r"(?P<name>[^:@#]+)(:(?P<classes>[^@#]*))?(@(?P<counts>[^#]*))?(#(?P<seed>.*))?"
)
_SPLITS: Mapping[int, tuple[SplitName, ...]] = {2: ("train", "test"), 3: SPLIT_NAMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A named set, or a part of it. Without ``classes`` all of them; without ``counts`` all images
    and the set's own split.
    """

    words: str
    named: NamedSet
    classes: tuple[str, ...] = ()
    counts: Mapping[SplitName, int] | None = None
    seed: int = 0


def named_part(words: str) -> str:
    """The part of the words that is a name: ``caltech101`` of ``caltech101:ketch,bonsai``."""
    match = _WORDS.fullmatch(words)
    return match["name"] if match else words


def is_named(source: str) -> bool:
    """Whether these words mean a named set, and not a path."""
    return named_part(source) in NAMED


def parse(words: str) -> Choice | None:
    """What is asked for; ``None`` if the words do not begin with a named set's name.

    Raises:
        SettingsError: if what follows the name cannot be understood.
    """
    match = _WORDS.fullmatch(words)
    if match is None or match["name"] not in NAMED:
        return None
    named = NAMED[match["name"]]
    if named.has_own_words:
        return Choice(words=words, named=named)
    if match["seed"] is not None and (match["counts"] is None or not match["seed"].isdecimal()):
        raise SettingsError(
            f"{words}: after # there must be a seed, a whole number, for the numbers after @: "
            f"write such as {match['name']}@800/200#7"
        )
    classes = [name.strip() for name in (match["classes"] or "").split(",")]
    if match["classes"] is not None and not all(classes):
        raise SettingsError(
            f"{words}: after : there must be names of classes with commas between them, got "
            f"{match['classes']!r}: leave out the colon for all classes"
        )
    return Choice(
        words=words,
        named=named,
        classes=tuple(filter(None, classes)),
        counts=None if match["counts"] is None else _counts(words, match["counts"]),
        seed=int(match["seed"] or 0),
    )


def _counts(words: str, text: str) -> Mapping[SplitName, int]:
    numbers = text.split("/")
    if len(numbers) not in _SPLITS or not all(number.isdecimal() for number in numbers):
        raise SettingsError(
            f"{words}: after @ there must be numbers of images, TRAIN/TEST or "
            f"TRAIN/VALIDATION/TEST, got {text!r}: write such as @50/10/20"
        )
    counts = dict(zip(_SPLITS[len(numbers)], map(int, numbers), strict=True))
    if not counts["train"]:
        raise SettingsError(
            f"{words}: there must be images to train on, got {text!r}: ask for at least one"
        )
    return counts


def choose(dataset: Dataset, choice: Choice) -> Dataset:
    """The images that are asked for, of a whole named set.

    Raises:
        UnknownNameError: if there is no such class; names the nearest.
        DataError: if there are too few images or classes, or classes are chosen by several heads.
    """
    if choice.classes:
        dataset = _of_classes(dataset, choice)
    return dataset if choice.counts is None else _divided(dataset, choice, choice.counts)


def _of_classes(dataset: Dataset, choice: Choice) -> Dataset:
    """The images of some classes, which keep the order that they have in the whole set."""
    head = _only_head(dataset, choice)
    names = dataset.class_names[head]
    for name in choice.classes:
        if name not in names:
            raise unknown_name(f"class of {choice.named.name}", name, names)
    chosen = [number for number, name in enumerate(names) if name in choice.classes]
    if len(chosen) < 2:
        raise DataError(
            f"{choice.words}: there must be at least two classes to tell apart, got one: name "
            "another class"
        )
    part = take(dataset, np.flatnonzero(np.isin(dataset.labels[head], chosen)))
    return replace(
        part,
        labels={head: np.searchsorted(chosen, part.labels[head]).astype(np.int64)},
        class_names={head: tuple(names[number] for number in chosen)},
    )


def _divided(dataset: Dataset, choice: Choice, counts: Mapping[SplitName, int]) -> Dataset:
    """So many images for each split, whatever split the set came with."""
    head = _only_head(dataset, choice)
    labels = dataset.labels[head]
    classes = range(len(dataset.class_names[head]))
    sizes = np.bincount(labels[labels >= 0], minlength=len(classes))
    _check_enough(choice, dict(zip(dataset.class_names[head], sizes.tolist(), strict=True)))
    quotas = (
        [dict(counts) for _ in classes]
        if choice.named.counts == "of each class"
        else _quotas(sizes, counts)
    )
    hashes = list(ordered(lambda row: sha256_of(dataset, row), range(len(dataset))))
    clusters = join(len(dataset), np.empty((0, 2), np.int64), hashes, dataset.groups)
    split_of: dict[int, SplitName] = {}
    for label in classes:
        rows = np.flatnonzero(labels == label)
        units = shuffled_units(dataset, rows, clusters, choice.seed)
        split_of |= _filled(units, quotas[label], choice)
    chosen = np.array(sorted(split_of), np.int64)
    return replace(
        take(dataset, chosen),
        given_split=tuple(split_of[row] for row in chosen.tolist()),
        notes=(*dataset.notes, _note(choice, counts)),
    )


def _quotas(sizes: IntArray, counts: Mapping[SplitName, int]) -> list[dict[SplitName, int]]:
    """For each class how many images each split gets: as the classes are frequent, sums exact."""
    left = sizes.astype(np.int64).copy()
    quotas: list[dict[SplitName, int]] = [{} for _ in sizes]
    for split, count in counts.items():
        shares = left * (count / left.sum()) if left.sum() else left * 0.0
        whole = np.floor(shares).astype(np.int64)
        # Largest remainders get what is missing; none gets more than it has left.
        order = np.argsort(whole - shares, kind="stable")
        whole[[k for k in order if whole[k] < left[k]][: count - int(whole.sum())]] += 1
        left -= whole
        for quota, number in zip(quotas, whole.tolist(), strict=True):
            quota[split] = number
    return quotas


def _filled(
    units: Sequence[Sequence[int]], quota: Mapping[SplitName, int], choice: Choice
) -> dict[int, SplitName]:
    """The split of each chosen row of a class; the units are in seeded order, the largest first."""
    room = dict(quota)
    split_of: dict[int, SplitName] = {}
    for unit in units:
        fitting = [split for split in room if room[split] >= len(unit)]
        if fitting:
            # One of many goes where most room is; of the others the first ones are for training.
            split = max(fitting, key=room.__getitem__) if len(unit) > 1 else fitting[0]
            room[split] -= len(unit)
            split_of |= dict.fromkeys(unit, split)
    if any(room.values()):
        raise DataError(
            f"{choice.words}: identical images must stay in one split, and so not every number can "
            "be reached: ask for a few images less"
        )
    return split_of


def _check_enough(choice: Choice, sizes: Mapping[str, int]) -> None:
    assert choice.counts is not None
    asked = sum(choice.counts.values())
    for what, found in _too_few(choice, sizes, asked):
        raise DataError(
            f"{choice.words}: {asked:,} images {what} are asked for, there are {found:,}: ask for "
            "fewer"
        )


def _too_few(choice: Choice, sizes: Mapping[str, int], asked: int) -> Iterator[tuple[str, int]]:
    if choice.named.counts == "of each class":
        yield from ((f"of {name!r}", size) for name, size in sizes.items() if size < asked)
    elif sum(sizes.values()) < asked:
        yield "in all", sum(sizes.values())


def _only_head(dataset: Dataset, choice: Choice) -> str:
    if len(dataset.class_names) > 1:
        raise DataError(
            f"{choice.words}: classes and numbers of images can be chosen of a set with one label "
            f"for each image, this one has {', '.join(dataset.class_names)}: leave out what "
            "follows the name"
        )
    return next(iter(dataset.class_names))


def _note(choice: Choice, counts: Mapping[SplitName, int]) -> str:
    numbers = ", ".join(f"{count:,} for {split}" for split, count in counts.items())
    each = "each class of " if choice.named.counts == "of each class" else ""
    return (
        f"{sum(counts.values()):,} images of {each}{choice.named.name} were chosen with seed "
        f"{choice.seed}: {numbers}"
    )

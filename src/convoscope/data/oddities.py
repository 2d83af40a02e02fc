"""Findings on single images and on numbers: what is too small, too odd, too rare, or missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from convoscope.arrays import Array, IntArray
from convoscope.data.dataset import SPLIT_NAMES, Dataset
from convoscope.data.facts import ImageFacts
from convoscope.data.findings import Finding, Group, Kind, Severity, counted, listed

IMBALANCED = 2.0
"""So many times the images of the smallest class in the largest one are worth a word."""
FEW = 10
TINY = 8
ODD_SIZE = 4.0
"""So many times larger or smaller than the median image is odd."""
ODD_ASPECT = 3.0
RARE = 0.05
_PLAIN_MODES = frozenset({"RGB", "L", "P", "1"})
_MODES = {
    "RGBA": "transparent, read over white",
    "LA": "transparent, read over white",
    "PA": "transparent, read over white",
    "CMYK": "in colours for print, converted to those of a screen",
}


def unreadable_finding(skipped: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Images that cannot be decoded, with the reason of each."""
    if skipped:
        name, reason = skipped[0]
        yield Finding(
            kind="unreadable",
            severity="wrong",
            sentence=(
                f"{counted(len(skipped), 'picture')} cannot be read ({name}: {reason}): mend or "
                "remove them, or train without them with --skip-unreadable"
            ),
            count=len(skipped),
            groups=tuple(Group(caption=reason, ids=(name,)) for name, reason in skipped),
        )


def class_findings(dataset: Dataset, split_of: IntArray | None) -> Iterator[Finding]:
    """Classes that have no image, are rare, or not in a split that there is."""
    for head, names in dataset.class_names.items():
        labels = dataset.labels[head]
        if split_of is not None:
            yield from _missing(head, names, labels, split_of)
        counts = np.bincount(labels[labels >= 0], minlength=len(names))
        yield from _empty(head, names, counts)
        has_some = np.flatnonzero(counts)
        yield from _rare(head, [names[label] for label in has_some.tolist()], counts[has_some])


def size_findings(dataset: Dataset, facts: ImageFacts) -> Iterator[Finding]:
    """Images whose size, aspect or mode is not like the others'."""
    side = np.minimum(facts.width, facts.height)
    scale = _times_the_median(np.sqrt(facts.width.astype(np.float64) * facts.height))
    aspect = _times_the_median(facts.width / facts.height)
    of_sizes = [f"{w} x {h}" for w, h in zip(facts.width, facts.height, strict=True)]
    typical = f"{np.median(facts.width):.0f} x {np.median(facts.height):.0f}"
    is_tiny = side < TINY
    yield from _odd(
        dataset,
        "tiny",
        is_tiny,
        of_sizes,
        f"smaller than {TINY} pixels on a side, where nothing can be recognised",
    )
    yield from _odd(
        dataset,
        "size",
        (scale > ODD_SIZE) & ~is_tiny,
        of_sizes,
        f"over {ODD_SIZE:g} times larger or smaller than most, which are about {typical} pixels: "
        "look whether the same is shown there",
    )
    yield from _odd(
        dataset,
        "aspect",
        (aspect > ODD_ASPECT) & ~is_tiny,
        of_sizes,
        f"over {ODD_ASPECT:g} times narrower or wider than most, which a network's input distorts "
        "unless it is made with --resize crop or --resize pad",
    )
    yield from _odd_modes(dataset, facts)


def _missing(
    head: str, names: Sequence[str], labels: IntArray, split_of: IntArray
) -> Iterator[Finding]:
    train, *others = (_classes(labels[split_of == number]) for number in range(len(SPLIT_NAMES)))
    for split, found in zip(SPLIT_NAMES[1:], others, strict=True):
        untrained = [names[label] for label in sorted(found - train)]
        if untrained:
            yield _about_classes(
                "untrained_class",
                "wrong",
                head,
                untrained,
                f"in {split} but not in train: nobody can name what was never shown; add pictures "
                "of it to train, or remove it there",
            )
        absent = [names[label] for label in sorted(train - found)]
        if absent and found:
            yield _about_classes(
                "untested_class",
                "look",
                head,
                absent,
                f"in train but not in {split}: nothing can be said about it there",
            )


def _empty(head: str, names: Sequence[str], counts: IntArray) -> Iterator[Finding]:
    empty = [names[label] for label in np.flatnonzero(counts == 0).tolist()]
    if empty:
        yield _about_classes(
            "empty_class",
            "wrong",
            head,
            empty,
            "without any picture: training would stop; put pictures there, or remove the folder",
        )


def _rare(head: str, names: Sequence[str], counts: IntArray) -> Iterator[Finding]:
    few = [name for name, count in zip(names, counts.tolist(), strict=True) if count < FEW]
    if few:
        yield _about_classes(
            "few_images",
            "look",
            head,
            few,
            f"of fewer than {FEW} pictures: too few to learn from and to be tested on",
        )
    smallest, largest = int(counts.argmin()), int(counts.argmax())
    if counts[largest] >= IMBALANCED * max(int(counts[smallest]), 1):
        times = counts[largest] / max(int(counts[smallest]), 1)
        yield Finding(
            kind="imbalance",
            severity="look",
            sentence=(
                f"{names[largest]} has {counts[largest]:,} pictures, {names[smallest]} "
                f"{counts[smallest]:,}, {times:.1f} times fewer: read the balanced accuracy beside "
                "the plain one, and try --class-weights balanced"
            ),
            count=2,
            head=head,
        )


def _about_classes(
    kind: Kind, severity: Severity, head: str, names: Sequence[str], what: str
) -> Finding:
    noun, verb = ("class", "is") if len(names) == 1 else ("classes", "are")
    return Finding(
        kind=kind,
        severity=severity,
        sentence=f"{noun} {listed(names)} {verb} {what}",
        count=len(names),
        head=head,
    )


def _odd(
    dataset: Dataset, kind: Kind, is_odd: Array, described: Sequence[str], what: str
) -> Iterator[Finding]:
    rows = np.flatnonzero(is_odd).tolist()
    if rows:
        yield Finding(
            kind=kind,
            severity="look",
            sentence=(
                f"{counted(len(rows), 'picture')} {'is' if len(rows) == 1 else 'are'} {what} "
                f"(such as {dataset.ids[rows[0]]}, {described[rows[0]]})"
            ),
            count=len(rows),
            groups=tuple(Group(caption=described[row], ids=(dataset.ids[row],)) for row in rows),
        )


def _odd_modes(dataset: Dataset, facts: ImageFacts) -> Iterator[Finding]:
    modes = facts.mode.tolist()
    for mode, count in sorted(Counter(modes).items()):
        if mode not in _PLAIN_MODES and count <= RARE * len(modes):
            yield from _odd(
                dataset,
                "mode",
                facts.mode == mode,
                modes,
                _MODES.get(mode, "stored in an unusual way, converted to 8 bits")
                + ", unlike nearly all others",
            )


def _times_the_median(values: Array) -> Array:
    """By what factor, at least 1, each value lies above or below the median."""
    ratio = values / np.median(values)
    return np.asarray(np.maximum(ratio, 1 / ratio))


def _classes(labels: IntArray) -> set[int]:
    return set(labels[labels >= 0].tolist())

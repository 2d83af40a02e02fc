"""The data check: what a careful person looks at before believing a figure.

:func:`audit` reads no file. It needs what the decoding pass has gathered, so that it costs little
where images are decoded anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convoscope import notebook
from convoscope.arrays import IntArray
from convoscope.data.cache import Decoded
from convoscope.data.dataset import SPLIT_NAMES, Dataset, SplitName
from convoscope.data.facts import ImageFacts
from convoscope.data.findings import Finding, shortcut_json
from convoscope.data.likeness import conflicts, likeness_findings
from convoscope.data.oddities import class_findings, size_findings, unreadable_finding
from convoscope.data.shortcuts import SUSPICIOUS, Shortcut, find_shortcuts
from convoscope.data.similar import SMALLEST_SIDE
from convoscope.data.suspicions import some, suspicions
from convoscope.data.traits import traits_of

AT_ONCE = "all"
"""The name of the column of counts where the images are not split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The least, the median and the largest of a property."""

    least: float
    median: float
    largest: float

    def to_json(self) -> dict[str, float]:
        """The three numbers by their names."""
        return {"least": self.least, "median": self.median, "largest": self.largest}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Audit:
    """What there is, and what is wrong with it; the gravest findings first.

    ``images`` can be read, of ``files`` that there are. ``counts`` per head and class: images per
    split, or of ``"all"`` where the images come unsplit. ``shortcuts`` per head: every trait tried
    on every class, the best first. ``samples`` per head and class: the ids of a few images.
    """

    name: str
    place: str
    files: int
    images: int
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    width: Spread
    height: Spread
    modes: Mapping[str, int]
    gray: int
    findings: tuple[Finding, ...]
    shortcuts: Mapping[str, tuple[Shortcut, ...]]
    samples: Mapping[str, Mapping[str, tuple[str, ...]]]
    notes: tuple[str, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """What makes the exit code 1."""
        return tuple(finding for finding in self.findings if finding.severity == "wrong")

    @property
    def splits(self) -> tuple[str, ...]:
        """The columns of ``counts``."""
        return columns(self.counts)

    def to_json(self) -> dict[str, Any]:
        """The object that ``data check --json`` prints."""
        return {
            "schema_version": 1,
            "name": self.name,
            "place": self.place,
            "files": self.files,
            "images": self.images,
            "is_clean": not self.wrong,
            "findings": [finding.to_json() for finding in self.findings],
            "counts": self.counts,
            "width": self.width.to_json(),
            "height": self.height.to_json(),
            "modes": dict(self.modes),
            "gray": self.gray,
            "shortcuts": {
                head: [shortcut_json(shortcut) for shortcut in found]
                for head, found in self.shortcuts.items()
            },
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        rows = [(finding.severity, finding.sentence) for finding in self.findings]
        looks = len(rows) - len(self.wrong)
        images = (
            f"{self.images:,}"
            if self.images == self.files
            else f"{self.images:,} of {self.files:,}"
        )
        caption = f"{self.name}, {images} images: {len(self.wrong)} wrong, {looks} to look at"
        tables = [notebook.table(caption, ("", "finding"), rows)] if rows else []
        for head, counts in self.counts.items():
            numbers = [(name, *of_split.values()) for name, of_split in counts.items()]
            tables.append(notebook.table(f"{head}: images", ("class", *self.splits), numbers))
        said = self.notes if rows else (caption, *self.notes)
        return "".join(tables) + notebook.sentences(said)


def audit(
    decoded: Decoded, *, split: Mapping[SplitName, IntArray] | None = None, seed: int = 0
) -> Audit:
    """Check decoded images; ``split`` holds the rows of each split, else the source's own counts.

    Images without a split, where others have one, are in no split's figures.
    """
    dataset, facts = decoded.dataset, decoded.facts
    split_of = split_numbers(dataset, split)
    traits = traits_of(facts)
    shortcuts = {
        head: find_shortcuts(traits, labels, dataset.class_names[head], seed=seed)
        for head, labels in dataset.labels.items()
    }
    findings = [
        *unreadable_finding(decoded.skipped),
        *likeness_findings(dataset, facts, split_of),
        *suspicions(dataset, facts, shortcuts),
        *class_findings(dataset, split_of),
        *size_findings(dataset, facts),
    ]
    return Audit(
        name=dataset.name,
        place=dataset.place,
        files=len(dataset) + len(decoded.skipped),
        images=len(dataset),
        counts=class_counts(dataset, split_of),
        width=spread(facts.width),
        height=spread(facts.height),
        modes=dict(Counter(facts.mode.tolist()).most_common()),
        gray=int(facts.is_gray.sum()),
        findings=tuple(sorted(findings, key=lambda finding: finding.severity != "wrong")),
        shortcuts=shortcuts,
        samples={
            head: {
                name: some(dataset, labels == k) for k, name in enumerate(dataset.class_names[head])
            }
            for head, labels in dataset.labels.items()
        },
        notes=(*dataset.notes, *_not_looked_at(facts)),
    )


def quick_findings(dataset: Dataset, facts: ImageFacts) -> Iterator[Finding]:
    """What training says that nobody else does: pictures with two labels, and shortcuts."""
    found = conflicts(dataset, facts)
    if found is not None:
        yield found
    traits = traits_of(facts)
    shortcuts = {
        head: find_shortcuts(traits, labels, dataset.class_names[head], at_least=SUSPICIOUS)
        for head, labels in dataset.labels.items()
    }
    yield from suspicions(dataset, facts, shortcuts)


def _not_looked_at(facts: ImageFacts) -> Iterator[str]:
    """What the check leaves out, so that nobody takes it for looked at."""
    small = int((np.minimum(facts.width, facts.height) < SMALLEST_SIDE).sum())
    if small:
        yield (
            f"near-duplicates are looked for among pictures of {SMALLEST_SIDE} and more pixels a "
            f"side, {small:,} of {len(facts.width):,} are smaller"
        )


def split_numbers(
    dataset: Dataset, split: Mapping[SplitName, IntArray] | None = None
) -> IntArray | None:
    """The number (N,) of each image's split in ``SPLIT_NAMES``, -1 for none; None if unsplit."""
    if split is None:
        if dataset.given_split is None:
            return None
        return np.array([SPLIT_NAMES.index(name) for name in dataset.given_split], np.int64)
    numbers = np.full(len(dataset), -1, np.int64)
    for name, rows in split.items():
        numbers[rows] = SPLIT_NAMES.index(name)
    return numbers


def class_counts(
    dataset: Dataset, split_of: IntArray | None
) -> dict[str, dict[str, dict[str, int]]]:
    """Images per head, class and split."""
    if split_of is None:
        parts = {AT_ONCE: np.ones(len(dataset), bool)}
    else:
        parts = {
            name: split_of == number
            for number, name in enumerate(SPLIT_NAMES)
            if (split_of == number).any()
        }
    return {
        head: {
            name: {part: int(((labels == k) & of_part).sum()) for part, of_part in parts.items()}
            for k, name in enumerate(dataset.class_names[head])
        }
        for head, labels in dataset.labels.items()
    }


def columns(counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> tuple[str, ...]:
    """The splits that such counts name."""
    return tuple(next(iter(next(iter(counts.values())).values())))


def spread(values: IntArray) -> Spread:
    """The spread of (N,) numbers."""
    return Spread(
        least=float(values.min()), median=float(np.median(values)), largest=float(values.max())
    )

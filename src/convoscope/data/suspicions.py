"""Shortcuts as findings: said in a sentence, shown with a histogram and with sample pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.data.class_indices import UNKNOWN
from convoscope.data.dataset import Dataset
from convoscope.data.facts import ImageFacts
from convoscope.data.findings import Clue, Finding, Group, Histogram
from convoscope.data.shortcuts import Shortcut
from convoscope.data.traits import GRAY, TRAITS, named, share

SHOWN = 6
_BINS = 32


def suspicions(
    dataset: Dataset, facts: ImageFacts, shortcuts: Mapping[str, tuple[Shortcut, ...]]
) -> Iterator[Finding]:
    """A finding for each class that a trait alone gives away, with every such trait.

    Of two classes only the first is named: what tells it from the other tells the other from it.
    """
    for head, found in shortcuts.items():
        names = dataset.class_names[head]
        for name in names if len(names) > 2 else names[:1]:
            clues = tuple(s for s in found if s.class_name == name and s.is_suspicious)
            if clues:
                yield _suspicion(dataset, facts, head, clues)


def in_brief(shortcuts: Sequence[Shortcut]) -> str:
    """``height (99.7 %) or width (99.4 %)``: the traits that give one class away."""
    said = [
        f"{named(shortcut.trait)} ({_percent(shortcut.accuracy.value)})" for shortcut in shortcuts
    ]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}"


def some(dataset: Dataset, wanted: Array) -> tuple[str, ...]:
    """A few of the images, drawn with a fixed seed so that the same data shows the same ones."""
    rows = np.flatnonzero(wanted)
    drawn = generator(0, "shown", len(rows)).choice(rows, min(SHOWN, len(rows)), replace=False)
    return tuple(dataset.ids[row] for row in np.sort(drawn).tolist())


def _suspicion(
    dataset: Dataset, facts: ImageFacts, head: str, shortcuts: Sequence[Shortcut]
) -> Finding:
    name = shortcuts[0].class_name
    labels = dataset.labels[head]
    is_class = labels == dataset.class_names[head].index(name)
    is_other = ~is_class & (labels != UNKNOWN)
    clues = tuple(_clue(shortcut, facts, is_class, is_other) for shortcut in shortcuts)
    return Finding(
        kind="shortcut",
        severity="wrong",
        sentence=(
            f"{name} can be told from the rest without a look at what is shown: "
            f"{'; '.join(clue.sentence for clue in clues)}"
        ),
        count=int(is_class.sum()),
        groups=(
            Group(caption=name, ids=some(dataset, is_class)),
            Group(caption="other classes", ids=some(dataset, is_other)),
        ),
        head=head,
        clues=clues,
    )


def _clue(shortcut: Shortcut, facts: ImageFacts, is_class: Array, is_other: Array) -> Clue:
    values = np.asarray(TRAITS[shortcut.trait].values(facts), np.float64)
    of_class, others = values[is_class], values[is_other]
    return Clue(
        shortcut=shortcut,
        sentence=_sentence(shortcut, of_class, others),
        histogram=_histogram(shortcut.trait, of_class, others),
    )


def _sentence(shortcut: Shortcut, of_class: FloatArray, others: FloatArray) -> str:
    name, figure = shortcut.class_name, shortcut.accuracy
    if shortcut.trait == GRAY:
        fact = _on_gray(name, float(of_class.mean()), float(others.mean()))
    else:
        written = TRAITS[shortcut.trait].written
        fact = (
            f"its {shortcut.trait} is about {written(shortcut.typical)}, that of the others "
            f"{written(shortcut.others)}"
        )
    interval = f"{_percent(figure.low)} to {_percent(figure.high)}"
    return f"{fact}, which is right in {_percent(figure.value)} of cases ({interval})"


def _on_gray(name: str, of_class: float, others: float) -> str:
    """How many are gray, or in colour, whichever is the class's own; both are shares of gray."""
    word = "gray"
    if of_class < others:
        word, of_class, others = "in colour", 1 - of_class, 1 - others
    most = f"every picture of {name} is" if of_class == 1 else f"{share(of_class)} of {name} are"
    return f"{most} {word}, {share(others) if others else 'none'} of the others"


def _histogram(trait: str, of_class: FloatArray, others: FloatArray) -> Histogram:
    """Even bins over the values of both, but for the last hundredth at either end."""
    edges: FloatArray = np.array([0.0, 0.5, 1.0])
    if trait != GRAY:
        low, high = np.quantile(np.concatenate([of_class, others]), [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    return Histogram(
        edges=tuple(edges.tolist()),
        of_class=_counts(of_class, edges),
        others=_counts(others, edges),
    )


def _counts(values: FloatArray, edges: FloatArray) -> tuple[int, ...]:
    """Values beyond the ends are counted in the last bin there."""
    counts: IntArray = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return tuple(counts.tolist())


def _percent(value: float | None) -> str:
    return f"{100 * (value or 0.0):.1f} %"

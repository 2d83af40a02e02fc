"""Several runs on the same test images, as plain values.

``Comparison.to_json()`` is the stable form, documented in ``docs/json.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from convoscope import notebook
from convoscope.metrics.comparison import McNemar
from convoscope.metrics.intervals import Figure
from convoscope.metrics.summary import SplitMetrics

_FEW_PAIRS, _MANY_SHOWN, _FEW_SHOWN = 3, 12, 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One of the runs; ``letter`` is its short name, ``history`` a mapping per epoch."""

    letter: str
    name: str
    path: Path
    model: str
    parameters: int
    macs: int
    epochs: int
    best_epoch: int
    seconds: float
    metrics: SplitMetrics
    history: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Its facts and the figures of the table, without the history."""
        heads = {
            name: {
                "accuracy": head.accuracy.to_json(),
                "balanced_accuracy": head.balanced_accuracy.to_json(),
                "macro_f1": head.macro.f1.to_json(),
                "loss": head.loss.to_json(),
            }
            for name, head in self.metrics.heads.items()
        }
        facts = ("letter", "name", "model", "parameters", "macs", "epochs", "best_epoch", "seconds")
        return {
            "run": str(self.path),
            **{fact: getattr(self, fact) for fact in facts},
            "accuracy": self.metrics.whole.accuracy.to_json(),
            "loss": self.metrics.loss.to_json(),
            "heads": heads,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """An image that one of two runs has right and the other wrong; probabilities in [0, 1]."""

    id: str
    true: str
    first_said: str
    first_probability: float
    second_said: str
    second_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Two runs on one head, or on all heads at once where ``head`` is ``None``.

    ``difference`` is the second's accuracy less the first's. ``p_adjusted`` allows for the other
    pairs of the same head. ``claim`` and ``evidence`` are the halves of a sentence. ``only_first``
    and ``only_second`` are the images that only that run has right, the surest mistake of the
    other first; empty where there is no one head.
    """

    first: str
    second: str
    head: str | None
    images: int
    both_right: int
    both_wrong: int
    test: McNemar
    p_adjusted: float
    difference: Figure
    is_more_than_noise: bool
    claim: str
    evidence: str
    only_first: tuple[Divided, ...] = ()
    only_second: tuple[Divided, ...] = ()

    @property
    def sentence(self) -> str:
        """The claim and what it rests on."""
        return f"{self.claim}: {self.evidence}."

    def to_json(self) -> dict[str, Any]:
        """Its fields, the test's among them."""
        return {
            "first": self.first,
            "second": self.second,
            "head": self.head,
            "images": self.images,
            "both_right": self.both_right,
            "only_first_right": self.test.only_first,
            "only_second_right": self.test.only_second,
            "both_wrong": self.both_wrong,
            "difference": self.difference.to_json(),
            "p_value": self.test.p_value,
            "p_value_adjusted": self.p_adjusted,
            "is_more_than_noise": self.is_more_than_noise,
            "sentence": self.sentence,
            "images_only_first_right": [asdict(image) for image in self.only_first],
            "images_only_second_right": [asdict(image) for image in self.only_second],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Runs on the images of one split, and what can be said of each two of them.

    ``settings`` are those in which the runs differ, each with a value per run; ``notes`` are
    sentences that a reader must not miss.
    """

    split: str
    images: int
    level: float
    entries: tuple[Entry, ...]
    verdicts: tuple[Verdict, ...]
    settings: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that all runs have, in the order of the first run."""
        return tuple(
            head
            for head in self.entries[0].metrics.heads
            if all(head in entry.metrics.heads for entry in self.entries)
        )

    @property
    def shown_each(self) -> int:
        """How many of the images that only one of two runs has right a page shows."""
        return _MANY_SHOWN if len(self.verdicts) <= _FEW_PAIRS else _FEW_SHOWN

    @property
    def shown_ids(self) -> tuple[str, ...]:
        """The images that a page shows, each once."""
        images = (
            image.id
            for verdict in self.verdicts
            for divided in (verdict.only_first, verdict.only_second)
            for image in divided[: self.shown_each]
        )
        return tuple(dict.fromkeys(images))

    def _repr_html_(self) -> str:
        header = ("", "run", "model", "parameters", "accuracy", "loss")
        rows = [
            (
                entry.letter,
                entry.name,
                entry.model,
                entry.parameters,
                notebook.figure(*astuple(entry.metrics.whole.accuracy)),
                notebook.figure(*astuple(entry.metrics.loss)),
            )
            for entry in self.entries
        ]
        caption = f"{self.images:,} {self.split} images, {100 * self.level:g} % intervals"
        return notebook.table(caption, header, rows) + notebook.sentences(
            verdict.sentence for verdict in self.verdicts
        )

    def entry(self, letter: str) -> Entry:
        """The run of that letter."""
        return next(entry for entry in self.entries if entry.letter == letter)

    def to_json(self) -> dict[str, Any]:
        """The object of ``compare --json``."""
        return {
            "split": self.split,
            "images": self.images,
            "level": self.level,
            "runs": [entry.to_json() for entry in self.entries],
            "pairs": [verdict.to_json() for verdict in self.verdicts],
            "settings": {name: list(values) for name, values in self.settings.items()},
            "notes": list(self.notes),
        }

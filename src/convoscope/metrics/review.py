"""What a person should look at: labels that are probably wrong, images hard to tell, images to
label next.

``Review.to_json()`` is the stable form, documented in ``docs/json.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from convoscope import notebook
from convoscope.arrays import Array
from convoscope.errors import DataError
from convoscope.metrics.doubts import ambiguous, doubted_labels
from convoscope.metrics.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtedLabel:
    """An image whose label the network doubts; probabilities in [0, 1]."""

    id: str
    split: str
    given: str
    given_probability: float
    suggested: str
    suggested_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """An image between two classes; ``given`` is its label, ``None`` where not known."""

    id: str
    split: str
    given: str | None
    first: str
    first_probability: float
    second: str
    second_probability: float

    @property
    def margin(self) -> float:
        """0 where both are equally probable, 1 where one is certain."""
        return self.first_probability - self.second_probability

    def to_json(self) -> dict[str, Any]:
        """Its fields and the margin."""
        return asdict(self) | {"margin": self.margin}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadReview:
    """One head: of ``labelled`` images the network names ``right`` as their labels do, and
    ``doubts`` labels are doubted, of which ``doubted`` are the least plausible; ``ambiguous`` are
    labelled images, ``next`` unlabelled ones, the most undecided first.
    """

    head: str
    labelled: int
    right: int
    unlabelled: int
    doubts: int
    doubted: tuple[DoubtedLabel, ...]
    ambiguous: tuple[Undecided, ...]
    next: tuple[Undecided, ...]

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return {
            "labelled": self.labelled,
            "right": self.right,
            "unlabelled": self.unlabelled,
            "doubts": self.doubts,
            "doubted": [asdict(doubt) for doubt in self.doubted],
            "ambiguous": [image.to_json() for image in self.ambiguous],
            "next": [image.to_json() for image in self.next],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What to look at in a run's data; ``notes`` are sentences that a reader must not miss."""

    run: str
    splits: tuple[str, ...]
    heads: tuple[HeadReview, ...]
    notes: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Every image that is named, each once."""
        named = (
            image.id
            for head in self.heads
            for images in (head.doubted, head.ambiguous, head.next)
            for image in images
        )
        return tuple(dict.fromkeys(named))

    def to_json(self) -> dict[str, Any]:
        """The object of ``doubts --json``."""
        return {
            "run": self.run,
            "splits": list(self.splits),
            "heads": {head.head: head.to_json() for head in self.heads},
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        where = ", ".join(self.splits)
        tables = (table for head in self.heads for table in _tables(head, where))
        return "".join(tables) + notebook.sentences(self.notes)


def _tables(head: HeadReview, where: str) -> Iterator[str]:
    """The labels that are doubted and the images to label next, for a notebook."""
    doubted = [
        (
            doubt.id,
            doubt.split,
            f"{doubt.given} {doubt.given_probability:.1%}",
            f"{doubt.suggested} {doubt.suggested_probability:.1%}",
        )
        for doubt in head.doubted
    ]
    counts = f"{head.doubts:,} of {head.labelled:,} labels are doubted"
    shown = f", the {len(doubted)} least plausible" if len(doubted) < head.doubts else ""
    header = ("image", "split", "label", "rather")
    yield notebook.table(f"{head.head} ({where}): {counts}{shown}", header, doubted)
    if head.next:
        undecided = [
            (
                image.id,
                f"{image.first} {image.first_probability:.1%}",
                f"{image.second} {image.second_probability:.1%}",
            )
            for image in head.next
        ]
        yield notebook.table(f"{head.head}: label next", ("image", "either", "or"), undecided)


def review(said: Sequence[Predictions], *, top: int) -> tuple[HeadReview, ...]:
    """Per head what to look at in these splits, at most ``top`` images of each kind.

    The splits are judged together: a class's threshold is better known from more images.

    Raises:
        DataError: if the splits have different heads or classes.
    """
    split_of = {name: predictions.split for predictions in said for name in predictions.ids}
    together = pooled(said)
    return tuple(_head(together, split_of, head, top) for head in together.heads)


def pooled(said: Sequence[Predictions]) -> Predictions:
    """The predictions of several splits as those of one; an image in two of them counts once.

    Raises:
        DataError: if the splits have different heads or classes.
    """
    first = said[0]
    for other in said[1:]:
        if _classes(other) != _classes(first):
            raise DataError(
                f"{first.split} and {other.split}: splits can be looked at together only where "
                "they have the same heads and classes, theirs differ: name them one at a time"
            )
    ids = [name for predictions in said for name in predictions.ids]
    once = np.array(sorted({name: row for row, name in reversed([*enumerate(ids)])}.values()))
    return Predictions(
        split=" + ".join(predictions.split for predictions in said),
        ids=tuple(ids[row] for row in once.tolist()),
        heads={
            head: replace(
                of_head,
                labels=np.concatenate([p.heads[head].labels for p in said])[once],
                logits=np.concatenate([p.heads[head].logits for p in said])[once],
            )
            for head, of_head in first.heads.items()
        },
    )


def _head(together: Predictions, split_of: Mapping[str, str], head: str, top: int) -> HeadReview:
    is_known = together.heads[head].labels >= 0
    known, unknown = _only(together, head, is_known), _only(together, head, ~is_known)
    doubts = doubted_labels(known, head)
    names = together.heads[head].class_names
    return HeadReview(
        head=head,
        labelled=len(known.ids),
        right=int((known.heads[head].predicted() == known.heads[head].labels).sum()),
        unlabelled=len(unknown.ids),
        doubts=len(doubts),
        doubted=tuple(
            DoubtedLabel(
                id=doubt.id,
                split=split_of[doubt.id],
                given=names[doubt.given],
                given_probability=doubt.given_probability,
                suggested=names[doubt.suggested],
                suggested_probability=doubt.suggested_probability,
            )
            for doubt in doubts[:top]
        ),
        ambiguous=_undecided(known, split_of, head, top),
        next=_undecided(unknown, split_of, head, top),
    )


def _undecided(
    said: Predictions, split_of: Mapping[str, str], head: str, top: int
) -> tuple[Undecided, ...]:
    of_head = said.heads[head]
    names = of_head.class_names
    labels = dict(zip(said.ids, of_head.labels.tolist(), strict=True))
    return tuple(
        Undecided(
            id=image.id,
            split=split_of[image.id],
            given=names[labels[image.id]] if labels[image.id] >= 0 else None,
            first=names[image.first],
            first_probability=image.first_probability,
            second=names[image.second],
            second_probability=image.second_probability,
        )
        for image in ambiguous(said, head, count=top)
    )


def _only(said: Predictions, head: str, chosen: Array) -> Predictions:
    rows = np.flatnonzero(chosen)
    of_head = said.heads[head]
    kept = replace(of_head, labels=of_head.labels[rows], logits=of_head.logits[rows])
    return Predictions(
        split=said.split, ids=tuple(said.ids[row] for row in rows.tolist()), heads={head: kept}
    )


def _classes(said: Predictions) -> dict[str, tuple[str, ...]]:
    return {name: head.class_names for name, head in said.heads.items()}

"""Labels to look at again and images to label next, as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from convoscope import disk
from convoscope.arrays import ByteArray
from convoscope.metrics.review import DoubtedLabel, HeadReview, Review, Undecided
from convoscope.report import wording
from convoscope.report.heads import Thumbnail, thumbnail
from convoscope.report.shell import fill


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDoubt:
    """A doubted label with its picture where there is one."""

    doubt: DoubtedLabel
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownUndecided:
    """An undecided image with its picture where there is one."""

    image: Undecided
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPage:
    """What the page shows of one head."""

    review: HeadReview
    doubted: tuple[ShownDoubt, ...]
    ambiguous: tuple[ShownUndecided, ...]
    next: tuple[ShownUndecided, ...]


def write(review: Review, pictures: Mapping[str, ByteArray], file: Path) -> Path:
    """Write the page, all of it or nothing; ``pictures`` (H, W, C) uint8 by the image's id.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    disk.write_text(file, render(review, pictures))
    return file


def render(review: Review, pictures: Mapping[str, ByteArray]) -> str:
    """The page as text."""
    return fill(
        "doubts.html",
        styles=("compare.css",),
        run={"name": Path(review.run).name},
        review=review,
        lead=lead(review),
        caution=caution(review),
        heads=tuple(_head(head, pictures) for head in review.heads),
    )


def lead(review: Review) -> str:
    """How many labels are doubted, in a sentence."""
    parts = []
    for head in review.heads:
        if head.labelled:
            where = f" of {head.head}" if len(review.heads) > 1 else ""
            share = wording.share(head.doubts / head.labelled)
            of = wording.counted(head.labelled, "label")
            parts.append(f"{wording.count(head.doubts)} of {of}{where} ({share})")
    if not parts:
        return "No picture here has a label that could be doubted."
    verb = "is" if len(parts) == 1 and review.heads[0].doubts == 1 else "are"
    return f"{wording.together(parts)} {verb} doubted."


def caution(review: Review) -> str:
    """How far the network that doubts can be trusted itself, in a sentence; empty without labels.

    A doubt is a disagreement, and a network that is often wrong disagrees with right labels.
    """
    heads = [head for head in review.heads if head.labelled]
    if not heads:
        return ""
    named = [
        f"{wording.count(head.right)} of {wording.counted(head.labelled, 'picture')}"
        f"{f' of {head.head}' if len(review.heads) > 1 else ''} "
        f"({wording.share(head.right / head.labelled)})"
        for head in heads
    ]
    return (
        f"The network agrees with the labels of {wording.together(named)}; the more often it is "
        "wrong itself, the more of its doubts are its own mistakes."
    )


def _head(head: HeadReview, pictures: Mapping[str, ByteArray]) -> HeadPage:
    return HeadPage(
        review=head,
        doubted=tuple(
            ShownDoubt(doubt=doubt, thumbnail=thumbnail(pictures, doubt.id))
            for doubt in head.doubted
        ),
        ambiguous=_undecided(head.ambiguous, pictures),
        next=_undecided(head.next, pictures),
    )


def _undecided(
    images: tuple[Undecided, ...], pictures: Mapping[str, ByteArray]
) -> tuple[ShownUndecided, ...]:
    return tuple(
        ShownUndecided(image=image, thumbnail=thumbnail(pictures, image.id)) for image in images
    )

"""Find labels that are probably wrong, and images worth a look or a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convoscope.arrays import ByteArray
from convoscope.errors import RunError, SettingsError
from convoscope.jobs.originals import small_picture, small_pictures
from convoscope.jobs.progress import Progress, unwatched
from convoscope.jobs.unlabelled import predict_folder
from convoscope.metrics.review import Review, review
from convoscope.network import Engine
from convoscope.runs import Run, open_run
from convoscope.runs.calibration import calibration_of

OUT_OF_FOLD = "out-of-fold"
UNSEEN = ("validation", "test")

BY_HEART = (
    "The training images are among these: a network does not doubt a label that it has learnt by "
    "heart, so few of their wrong labels show."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Doubts:
    """What to look at, and small pictures (H, W, C) uint8 by id for those that can be shown."""

    review: Review
    pictures: Mapping[str, ByteArray]

    def _repr_html_(self) -> str:
        return self.review._repr_html_()


def doubts(
    run: Run | str | Path,
    *,
    splits: Sequence[str] = (),
    top: int = 24,
    unlabelled: str | Path | None = None,
    engine: Engine | None = None,
    device: str = "auto",
    progress: Progress = unwatched,
) -> Doubts:
    """Labels that are probably wrong, images hard to tell, and images to label next.

    From the saved predictions of ``splits``; without them out-of-fold predictions where there are
    any, else validation and test. ``unlabelled`` is a folder of images without labels, of which
    the most undecided come first. Probabilities are those with the run's temperature.

    Raises:
        RunError: if the run has no saved predictions for such a split.
        SettingsError: if ``top`` is below 1.
        DataError: if the folder holds no image.
    """
    if top < 1:
        raise SettingsError(f"top must be at least 1 image, got {top}: 24 is usual")
    opened = open_run(run)
    said = [opened.predictions(split) for split in _splits(opened, splits)]
    notes = [BY_HEART] if any(each.split == "train" for each in said) else []
    files: dict[str, Path] = {}
    if unlabelled is not None:
        folder = predict_folder(
            opened, Path(unlabelled), engine=engine, device=device, progress=progress
        )
        said.append(folder.predictions)
        files = dict(folder.files)
        notes += folder.problems
    calibration = calibration_of(opened)
    if calibration is not None:
        said = [calibration.predictions(each) for each in said]
    looked_at = Review(
        run=str(opened.path),
        splits=tuple(each.split for each in said),
        heads=review(said, top=top),
        notes=tuple(notes),
    )
    return Doubts(review=looked_at, pictures=_pictures(opened, looked_at.ids, files))


def _splits(run: Run, asked: Sequence[str]) -> tuple[str, ...]:
    """The splits to look at: those asked for, or the ones that the network did not learn from."""
    there = run.splits()
    if not asked:
        if OUT_OF_FOLD in there:
            return (OUT_OF_FOLD,)
        unseen = tuple(split for split in UNSEEN if split in there)
        if unseen:
            return unseen
        raise RunError(
            f"{run.path}: labels are doubted on images that the network did not learn from "
            f"({', '.join((OUT_OF_FOLD, *UNSEEN))}), this run has saved predictions for "
            f"{', '.join(there) or 'none'}: name one with --split, or finish the run"
        )
    for split in asked:
        if split not in there:
            raise RunError(
                f"{run.path}: doubts need saved predictions, there are none for {split!r}, only "
                f"for {', '.join(there) or 'no split'}: choose another --split"
            )
    return tuple(dict.fromkeys(asked))


def _pictures(run: Run, ids: Sequence[str], files: Mapping[str, Path]) -> dict[str, ByteArray]:
    pictures = small_pictures([run], [name for name in ids if name not in files])
    for name in ids:
        picture = small_picture(files[name]) if name in files else None
        if picture is not None:
            pictures[name] = picture
    return pictures

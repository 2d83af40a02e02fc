"""What a network to start from has learnt from: images that must not judge what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from convoscope.data.cache import Decoded
from convoscope.data.dataset import SplitName
from convoscope.data.splits import Splits
from convoscope.errors import LeakError
from convoscope.jobs.request import TrainRequest
from convoscope.runs import Run, open_run
from convoscope.runs.splitting import hashes_of


def judged_unseen(splits: Splits, decoded: Decoded, request: TrainRequest) -> Splits:
    """The splits, with a note where leaks are allowed and there are some.

    What the run to start from, and those that it started from, were trained on must be neither
    validated nor tested on; what chose their epochs must not be tested on.

    Raises:
        LeakError: if such an image is, and leaks are not allowed.
    """
    if request.from_run is None:
        return splits
    start = open_run(request.from_run)
    seen = list(_seen(start, splits, decoded))
    if not seen:
        return splits
    learnt = f"has learnt from {len(seen)} of the images, such as {seen[0]}"
    if not request.allow_leak:
        raise LeakError(
            f"{request.from_run}: no network may be judged on what it has learnt from, this one "
            f"{learnt}: leave --from out, divide the images as it did (--split {start.split_file})"
            ", or go on with --allow-leak"
        )
    note = (
        f"training started from {request.from_run}, which {learnt}, that judge it here: figures "
        "are too good"
    )
    return replace(splits, notes=(*splits.notes, note))


def taught_by(run: Run, decoded: Decoded) -> tuple[str, ...]:
    """The images, by their ids, that the run's network was trained on, then or before."""
    taught = frozenset(_hashes(run, "train"))
    ids = decoded.dataset.ids
    return tuple(name for name, of in zip(ids, decoded.facts.sha256, strict=True) if of in taught)


def _seen(start: Run, splits: Splits, decoded: Decoded) -> Iterator[str]:
    """The images that judge, by their ids, which the run has learnt from."""
    taught = frozenset(_hashes(start, "train"))
    learnt: Mapping[SplitName, frozenset[str]] = {
        "validation": taught,
        "test": taught.union(_hashes(start, "validation")),
    }
    for split, hashes in learnt.items():
        for row in splits.indices[split]:
            if decoded.facts.sha256[row] in hashes:
                yield decoded.dataset.ids[row]


def _hashes(run: Run, split: str) -> Iterator[str]:
    """Of the images in a run's split, and in that of the run that it started from."""
    yield from hashes_of(run, split).values()
    before = run.record().settings.get("from_run")
    if before is not None and (Path(before) / "run.json").exists():
        yield from _hashes(Run(Path(before)), split)

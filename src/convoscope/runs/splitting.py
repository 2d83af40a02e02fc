"""What a run's ``split.csv`` says of its images: the split of each, and what its bytes were."""

from __future__ import annotations

import csv

from convoscope.runs.store import Run


def hashes_of(run: Run, split: str | None = None) -> dict[str, str]:
    """The SHA-256 of each image by its id, of one split or of all.

    Images without one are left out; empty where the run has no ``split.csv``.
    """
    if not run.split_file.exists():
        return {}
    with run.split_file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if split in (None, row.get("split"))]
    return {row["file"]: row["sha256"] for row in rows if row.get("sha256")}

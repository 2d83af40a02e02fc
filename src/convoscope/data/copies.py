"""Which images are no independent evidence: figures must not count one picture twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convoscope.data.cache import Decoded
from convoscope.data.stratify import join


def belonging(decoded: Decoded) -> tuple[str, ...] | None:
    """For each image the id of the first one that it belongs to, ``None`` if all are independent.

    Images belong together if their pixels are the same, or the data puts them into one group.
    """
    return _named(decoded, decoded.dataset.groups)


def copies(decoded: Decoded) -> tuple[str, ...] | None:
    """As :func:`belonging`, for images whose pixels are the same and no others."""
    return _named(decoded, None)


def _named(decoded: Decoded, groups: Sequence[str] | None) -> tuple[str, ...] | None:
    ids = decoded.dataset.ids
    no_pairs = np.empty((0, 2), dtype=np.int64)
    clusters = join(len(ids), no_pairs, decoded.facts.pixel_hash, groups).tolist()
    if len(set(clusters)) == len(clusters):
        return None
    return tuple(ids[first] for first in clusters)

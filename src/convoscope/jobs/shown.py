"""Small pictures of images that a report shows, cut from what was decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from convoscope.arrays import ByteArray
from convoscope.data.cache import Decoded
from convoscope.metrics.mistakes import pictures_needed
from convoscope.metrics.predictions import Predictions
from convoscope.pictures.thumbnails import shrink
from convoscope.runs import Run


def thumbnails_of(decoded: Decoded, ids: Iterable[str]) -> ByteArray:
    """The pictures (M, h, w, C) of the images of those ids, in that order."""
    rows = {name: row for row, name in enumerate(decoded.dataset.ids)}
    return shrink(decoded.images[np.array([rows[name] for name in ids], dtype=np.int64)])


def write_shown(run: Run, decoded: Decoded, said: Sequence[Predictions]) -> None:
    """Keep in the run the pictures that its report needs for these predictions, and no others."""
    shown = pictures_needed(said)
    run.write_samples(shown, thumbnails_of(decoded, shown))

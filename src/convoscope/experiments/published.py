"""Published figures beside ours, and whether they lie inside our intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convoscope.metrics.classification import total_loss, whole_right
from convoscope.metrics.intervals import Figure
from convoscope.metrics.spread import mean_over_images
from convoscope.runs import Run

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a source says of a network: per split its accuracy and its loss; parameters; epochs."""

    network: str
    accuracy: Mapping[str, float]
    loss: Mapping[str, float]
    parameters: int
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A published accuracy and ours on that split: the mean over seeds, its interval over images.

    ``least`` and ``most`` are of the seeds; ``loss`` is our mean, ``published_loss`` theirs.
    """

    network: str
    split: str
    published: float
    ours: Figure
    least: float
    most: float
    published_loss: float
    loss: float
    images: int

    @property
    def is_inside(self) -> bool:
        """Whether the published accuracy lies in our interval."""
        low, high = self.ours.low, self.ours.high
        return low is not None and high is not None and low <= self.published <= high

    def to_json(self) -> dict[str, Any]:
        """Its fields, and whether it lies inside."""
        return {
            "network": self.network,
            "split": self.split,
            "images": self.images,
            "published_accuracy": self.published,
            "accuracy": self.ours.to_json(),
            "smallest": self.least,
            "largest": self.most,
            "is_inside": self.is_inside,
            "published_loss": self.published_loss,
            "loss": self.loss,
        }


def beside(published: Published, runs: Sequence[Run]) -> tuple[Beside, ...]:
    """A row for each split that the trainings were asked about."""
    rows = []
    for split in SPLITS:
        if split not in published.accuracy or any(split not in run.splits() for run in runs):
            continue
        said = [run.predictions(split) for run in runs]
        right = np.stack([whole_right(predictions) for predictions in said])
        shares = right.mean(axis=1).tolist()
        rows.append(
            Beside(
                network=published.network,
                split=split,
                published=published.accuracy[split],
                ours=mean_over_images(right),
                least=min(shares),
                most=max(shares),
                published_loss=published.loss[split],
                loss=float(np.mean([total_loss(predictions) for predictions in said])),
                images=right.shape[1],
            )
        )
    return tuple(rows)

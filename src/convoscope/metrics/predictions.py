"""Saved predictions: the only source of every figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from convoscope import notebook
from convoscope.arrays import FloatArray, IntArray
from convoscope.errors import ShapeError

Output: TypeAlias = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadPredictions:
    """What one head said of N images.

    ``labels`` (N,) int64, -1 where not known; ``logits`` (N, K), or (N, 1) for a sigmoid head of
    two classes. ``class_names`` has one name per class. ``threshold`` is the probability above
    which a two-class sigmoid answers with its second class.

    Raises:
        ShapeError: if labels, logits and class names do not belong together.
    """

    class_names: tuple[str, ...]
    labels: IntArray
    logits: FloatArray
    output: Output = "softmax"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        classes = len(self.class_names)
        units = 1 if self.output == "sigmoid" and classes == 2 else classes
        if self.logits.shape not in ((len(self.labels), units), (len(self.labels), classes)):
            raise ShapeError(
                f"the logits of {len(self.labels)} images and {classes} classes must have shape "
                f"({len(self.labels)}, {units}), got {self.logits.shape}: "
                "predict again with the network that these classes belong to"
            )
        if self.labels.size and not (self.labels.min() >= -1 and self.labels.max() < classes):
            raise ShapeError(
                f"labels must be class indices from 0 to {classes - 1}, or -1 where not known, "
                f"got {self.labels.min()} to {self.labels.max()}: "
                "use the data's own class names with its labels"
            )

    def probabilities(self) -> FloatArray:
        """(N, K) in float64.

        Rows of a softmax add to 1; a two-class sigmoid gives both columns; a sigmoid with a unit
        per class gives each class its own probability.
        """
        logits = self.logits.astype(np.float64)
        if self.output == "sigmoid":
            positive = sigmoid(logits)
            return np.hstack([sigmoid(-logits), positive]) if logits.shape[1] == 1 else positive
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: FloatArray = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def predicted(self) -> IntArray:
        """(N,) the most probable class; a two-class sigmoid is thresholded, at 0.5 if not said."""
        if self.output == "sigmoid" and self.logits.shape[1] == 1:
            least = math.log(self.threshold / (1 - self.threshold))
            return np.asarray(self.logits[:, 0] > least, dtype=np.int64)
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What a network said of the images of one split, per head; ``ids`` name the images.

    ``groups``, where some images are not independent of others, names for each image what it
    belongs to: copies of one picture, or pictures of one patient, have one name.

    Raises:
        ShapeError: if a head, or the groups, speak of another number of images.
    """

    split: str
    ids: tuple[str, ...]
    heads: Mapping[str, HeadPredictions]
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.groups is not None and len(self.groups) != len(self.ids):
            raise ShapeError(
                f"{self.split} predictions: there must be one group per image, got "
                f"{len(self.groups)} groups for {len(self.ids)} images: predict again"
            )
        for name, head in self.heads.items():
            if len(head.labels) != len(self.ids):
                raise ShapeError(
                    f"{self.split} predictions: head {name!r} must have one label per image, got "
                    f"{len(head.labels)} labels for {len(self.ids)} images: predict again"
                )

    def _repr_html_(self) -> str:
        rows = []
        for name, head in self.heads.items():
            said = head.predicted()
            for label, class_name in enumerate(head.class_names):
                own, named = head.labels == label, said == label
                rows.append((name, class_name, *(int(x.sum()) for x in (own, named, own & named))))
        caption = f"{self.split}: predictions of {len(self.ids):,} images"
        return notebook.table(caption, ("head", "class", "images", "named so", "right"), rows)


def sigmoid(logits: FloatArray) -> FloatArray:
    """``1 / (1 + exp(-x))`` of an array of any shape, without overflow at either end."""
    smaller = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1.0, smaller) / (1 + smaller))

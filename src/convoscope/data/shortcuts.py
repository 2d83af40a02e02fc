"""Shortcuts: a trivial property of an image file that alone gives its class away.

Where every picture of one class is gray, or narrow, or bright at the border, a network can learn
that instead of what the picture shows, and every accuracy looks better than it is. Each property is
tried on each class with a small decision tree, judged on images that the tree has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.metrics.intervals import Figure, wilson

# A property is called a shortcut to a class when it tells the class from the others this well.
SUSPICIOUS = 0.9
SURELY_ABOVE = 0.8
FOLDS = 5
LEAVES = 4
IMAGES_AT_MOST = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """How well one property tells one class from all others.

    ``accuracy`` is the balanced accuracy (mean of both recalls; 0.5 is chance) of unseen images,
    with its interval; ``typical`` and ``others`` are the property's medians.
    """

    trait: str
    class_name: str
    accuracy: Figure
    typical: float
    others: float

    @property
    def is_suspicious(self) -> bool:
        """Whether a network could live on this property alone for this class."""
        value, low = self.accuracy.value, self.accuracy.low
        return value is not None and low is not None and value >= SUSPICIOUS and low > SURELY_ABOVE


def find_shortcuts(
    properties: Mapping[str, Array],
    labels: IntArray,
    class_names: tuple[str, ...],
    *,
    seed: int = 0,
    at_least: float = 0.0,
) -> tuple[Shortcut, ...]:
    """Every property tried on every class, the best first.

    ``properties`` per name (N,) numbers; ``labels`` (N,), -1 where not known. A class with fewer
    than two images, or a property that is the same everywhere, cannot be tried. Of large sets
    ``IMAGES_AT_MOST`` are drawn, seeded. With ``at_least``, to save time, only where a tree reaches
    that much on the images it was grown on, and the class has images enough to be sure.
    """
    rows = _drawn(labels, seed)
    labels = labels[rows]
    tried = []
    for name, known in properties.items():
        values = np.asarray(known, np.float32)[rows, None]
        if (values == values[:1]).all():
            continue
        for k, class_name in enumerate(class_names):
            is_class = labels == k
            if 2 <= int(is_class.sum()) <= len(labels) - 2 and (
                at_least == 0 or (_is_enough(is_class) and _seen(values, is_class) >= at_least)
            ):
                tried.append(_try(name, values, is_class, class_name, seed))
    return tuple(sorted(tried, key=lambda shortcut: -(shortcut.accuracy.value or 0.0)))


def balanced_accuracy(cells: IntArray) -> Figure:
    """The mean of both recalls, out of counts (4,): others taken for others, others taken for the
    class, the class taken for others, the class taken for itself.

    Both recalls' Wilson intervals give that of their mean, which stays honest where a recall is
    1 or a class is small. Source: Zou and Donner 2008, https://doi.org/10.1002/sim.3095, eq. 3.
    """
    recalls = []
    for right, wrong in ((cells[0], cells[1]), (cells[3], cells[2])):
        right, n = int(right), int(right + wrong)
        recalls.append((right / n, *wilson(right, n)))
    middle = sum(value for value, _, _ in recalls) / 2
    below = math.hypot(*(value - low for value, low, _ in recalls)) / 2
    above = math.hypot(*(high - value for value, _, high in recalls)) / 2
    return Figure(middle, max(middle - below, 0.0), min(middle + above, 1.0))


def _drawn(labels: IntArray, seed: int) -> IntArray:
    known = np.flatnonzero(labels >= 0)
    if len(known) <= IMAGES_AT_MOST:
        return known
    return np.sort(generator(seed, "shortcuts").choice(known, IMAGES_AT_MOST, replace=False))


def _try(name: str, values: FloatArray, is_class: Array, class_name: str, seed: int) -> Shortcut:
    """``values`` (n, 1), ``is_class`` (n,) bool."""
    folds = min(FOLDS, int(is_class.sum()), int((~is_class).sum()))
    guess = np.empty(len(is_class), bool)
    for seen, unseen in StratifiedKFold(folds, shuffle=True, random_state=seed).split(
        values, is_class
    ):
        guess[unseen] = _grown(values[seen], is_class[seen]).predict(values[unseen])
    return Shortcut(
        trait=name,
        class_name=class_name,
        accuracy=balanced_accuracy(_cells(is_class, guess)),
        typical=float(np.median(values[is_class])),
        others=float(np.median(values[~is_class])),
    )


def _is_enough(is_class: Array) -> bool:
    """Whether a property that tells all of these apart could be called a shortcut."""
    low = balanced_accuracy(_cells(is_class, is_class)).low
    return low is not None and low > SURELY_ABOVE


def _seen(values: FloatArray, is_class: Array) -> float:
    """The balanced accuracy on the images that the tree was grown on."""
    guess = _grown(values, is_class).predict(values)
    return balanced_accuracy(_cells(is_class, guess)).value or 0.0


def _grown(values: FloatArray, is_class: Array) -> DecisionTreeClassifier:
    """A small tree for which the class weighs as much as all others together."""
    count, inside = len(is_class), int(is_class.sum())
    # What class_weight="balanced" means; sklearn takes as long to find it as to grow the tree.
    weights = np.where(is_class, count / (2 * inside), count / (2 * (count - inside)))
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, random_state=0)
    return tree.fit(values, is_class, sample_weight=weights)


def _cells(is_class: Array, guess: Array) -> IntArray:
    return np.bincount(2 * is_class + guess, minlength=4)

"""Shortcuts: a trivial property of an image file that alone gives its class away.

Where every picture of one class is gray, or narrow, or bright at the border, a network can learn
that instead of what the picture shows, and every accuracy looks better than it is. Each property is
tried on each class with a small decision tree, judged on images that the tree has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from convoscope.arrays import Array, FloatArray, IntArray, generator
from convoscope.metrics.intervals import Figure, bootstrap_counts, ratio

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
    with the bootstrap's interval; ``typical`` and ``others`` are the property's medians.
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
) -> tuple[Shortcut, ...]:
    """Every property tried on every class, the best first.

    ``properties`` per name (N,) numbers; ``labels`` (N,), -1 where not known. A class with fewer
    than two images, or a property that is the same everywhere, cannot be tried. Of large sets
    ``IMAGES_AT_MOST`` are drawn, seeded.
    """
    rows = _drawn(labels, seed)
    labels = labels[rows]
    tried = [
        _try(name, np.asarray(values, np.float64)[rows], labels == k, class_names[k], seed)
        for name, values in properties.items()
        if len(np.unique(np.asarray(values)[rows])) > 1
        for k in range(len(class_names))
        if 2 <= int((labels == k).sum()) <= len(labels) - 2
    ]
    return tuple(sorted(tried, key=lambda shortcut: -(shortcut.accuracy.value or 0.0)))


def _drawn(labels: IntArray, seed: int) -> IntArray:
    known = np.flatnonzero(labels >= 0)
    if len(known) <= IMAGES_AT_MOST:
        return known
    return np.sort(generator(seed, "shortcuts").choice(known, IMAGES_AT_MOST, replace=False))


def _try(name: str, values: FloatArray, is_class: Array, class_name: str, seed: int) -> Shortcut:
    folds = min(FOLDS, int(is_class.sum()), int((~is_class).sum()))
    guess = cross_val_predict(
        DecisionTreeClassifier(max_leaf_nodes=LEAVES, class_weight="balanced", random_state=seed),
        values[:, None],
        is_class,
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
    )
    cells = np.bincount(
        2 * is_class + guess, minlength=4
    )  # [other, as class], [class as other, ..]
    (interval,) = bootstrap_counts(cells, _balanced_accuracy, seed=seed)
    low, high = interval if interval is not None else (None, None)
    return Shortcut(
        trait=name,
        class_name=class_name,
        accuracy=Figure(float(_balanced_accuracy(cells[None])[0, 0]), low, high),
        typical=float(np.median(values[is_class])),
        others=float(np.median(values[~is_class])),
    )


def _balanced_accuracy(cells: IntArray) -> FloatArray:
    """(R, 4) counts to (R, 1)."""
    of_others = ratio(cells[:, 0], cells[:, 0] + cells[:, 1])
    of_class = ratio(cells[:, 3], cells[:, 2] + cells[:, 3])
    return ((of_others + of_class) / 2)[:, None]

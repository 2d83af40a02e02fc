"""A linear support vector machine on features, as the weights of a dense layer.

One machine per class against the rest (for two classes of a single sigmoid: one in all) with the
squared hinge loss, as liblinear solves it; its margins are the layer's logits. What the features
are standardised with is folded into the weights, so that the layer takes features as they are.

Source: Fan et al. 2008, LIBLINEAR, https://www.jmlr.org/papers/v9/fan08a.html.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from convoscope.arrays import Array, FloatArray, IntArray
from convoscope.errors import DataError

CHOICES = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0)
"""The values of C among which validation chooses: how much an image on the wrong side weighs
against a wide margin, per image."""

USUAL = 0.001
"""C where there is no validation."""

ITERATIONS = 2000

_FLOOR = 0.1  # of the features' own typical spread; a feature that hardly varies is no louder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solved:
    """The dense layer's ``weight`` (units, D) and ``bias`` (units,), its ``c``, and the share of
    validation images that it is right on, ``None`` without validation.
    """

    weight: FloatArray
    bias: FloatArray
    c: float
    right: float | None

    def logits(self, features: Array) -> FloatArray:
        """The margins (N, units) of features (N, D)."""
        found: FloatArray = features @ self.weight.T + self.bias
        return found


def solve(
    features: Array,
    labels: IntArray,
    classes: int,
    *,
    train: IntArray,
    validation: IntArray,
    units: int,
    is_balanced: bool,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Solved:
    """The machine whose C is right most often on validation; of equals the smallest, which has the
    widest margin.

    ``features`` (N, D) and ``labels`` (N,), -1 where not known, are of all images, ``train`` and
    ``validation`` rows of them; ``units`` is 1 for a sigmoid of two classes, else ``classes``.
    ``is_balanced`` lets rare classes weigh as much as frequent ones.

    Raises:
        DataError: if the training images are not of two classes at least.
    """
    known = train[labels[train] >= 0]
    _check_classes(labels[known])
    asked = validation[labels[validation] >= 0]
    mean, sd = _scale(features[known])
    x, y = (features[known] - mean) / sd, labels[known]
    choices = CHOICES if len(asked) else (USUAL,)
    best: Solved | None = None
    for done, c in enumerate(choices):
        progress(done, len(choices))
        slopes, offsets = _machine(x, y, classes, units, c, is_balanced=is_balanced, seed=seed)
        weight = (slopes / sd).astype(np.float32)
        bias = (offsets - (slopes / sd) @ mean).astype(np.float32)
        found = Solved(weight=weight, bias=bias, c=c, right=None)
        if len(asked):
            answers = _answers(found.logits(features[asked]))
            found = Solved(
                weight=weight, bias=bias, c=c, right=float((answers == labels[asked]).mean())
            )
        if best is None or (found.right or 0) > (best.right or 0):
            best = found
    progress(len(choices), len(choices))
    assert best is not None, "there is a choice"
    return best


def _machine(
    x: Array, y: IntArray, classes: int, units: int, c: float, *, is_balanced: bool, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Slopes (units, D) and offsets (units,) for standardised features (M, D).

    A class without training images keeps a margin of -1: nothing speaks for it.
    """
    machine = LinearSVC(
        C=c,
        dual=len(x) < x.shape[1],
        class_weight="balanced" if is_balanced else None,
        max_iter=ITERATIONS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # The largest values of C are the hardest to solve; validation decides what they are worth.
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(x, y)
    slopes, offsets = machine.coef_, machine.intercept_
    present: Sequence[int] = machine.classes_.tolist()
    if units == 1:
        return slopes, offsets
    if len(present) == 2:
        slopes, offsets = np.vstack([-slopes, slopes]), np.concatenate([-offsets, offsets])
    whole, moved = np.zeros((classes, x.shape[1])), np.full(classes, -1.0)
    whole[present], moved[present] = slopes, offsets
    return whole, moved


def _scale(features: Array) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation (D,) of features (M, D), none much smaller than is typical."""
    mean, sd = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    typical = float(np.sqrt((sd**2).mean())) or 1.0
    return mean, np.maximum(sd, _FLOOR * typical)


def _answers(logits: FloatArray) -> IntArray:
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.int64)
    answers: IntArray = logits.argmax(axis=1)
    return answers


def _check_classes(labels: IntArray) -> None:
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"a support vector machine needs training images of two classes at least, got "
            f"{len(np.unique(labels))}: add images, or choose another --tune"
        )

"""Making a confidence mean what it says, and knowing when to say nothing.

A temperature divides all logits by one number, chosen on the validation split: no prediction
changes, only how sure it claims to be. A threshold abstains from predictions that are less sure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from convoscope.arrays import FloatArray
from convoscope.errors import DataError, SettingsError
from convoscope.metrics.calibration import confidences
from convoscope.metrics.intervals import Figure, proportion
from convoscope.metrics.predictions import HeadPredictions

# A temperature outside of this range says that the logits carry no (or all) information.
_LOG_TEMPERATURE = (np.log(0.01), np.log(100.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """What logits are divided by, and the mean negative log-likelihood before and after, on the
    ``n`` labelled images it was chosen on.
    """

    value: float
    n: int
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """What is left when predictions less sure than ``threshold`` are withheld.

    ``coverage``: the share of labelled images that still get a prediction; ``accuracy``: of those,
    the share that is right, undefined where none is left.
    """

    threshold: float
    coverage: Figure
    accuracy: Figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoverageCurve:
    """Accuracy against coverage, from the surest image on: (M,) each, one point per distinct
    confidence; ``thresholds`` fall. ``risk`` is the mean error rate over all coverages.
    """

    thresholds: FloatArray
    coverage: FloatArray
    accuracy: FloatArray
    risk: float


def log_likelihood(head: HeadPredictions) -> FloatArray:
    """(N,) the natural logarithm of the probability that each image's own label got."""
    logits = head.logits.astype(np.float64)
    if head.output == "sigmoid" and logits.shape[1] == 1:
        signed = np.where(head.labels == 1, logits[:, 0], -logits[:, 0])
        return np.asarray(-np.logaddexp(0, -signed))
    if head.output == "sigmoid":
        truth = np.arange(logits.shape[1]) == head.labels[:, None]
        return np.asarray(-np.logaddexp(0, np.where(truth, -logits, logits)).sum(axis=1))
    chosen = np.take_along_axis(logits, head.labels[:, None], axis=1)[:, 0]
    return np.asarray(chosen - np.logaddexp.reduce(logits, axis=1))


def choose_temperature(head: HeadPredictions) -> Temperature:
    """The temperature that makes a split's labels most likely.

    Source: Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599. Where no image is
    wrong the likelihood grows without end as the temperature falls, which says only that the split
    is too easy or too small: then it is 1.

    Raises:
        DataError: if no image's label is known.
    """
    known = labelled(head)
    if not len(known.labels):
        raise DataError(
            "a temperature must be chosen on images whose label is known, found none: "
            "calibrate on a labelled validation split"
        )

    def loss(log_temperature: float) -> float:
        return -float(log_likelihood(with_temperature(known, np.exp(log_temperature))).mean())

    before = loss(0.0)
    if _is_faultless(known):
        return Temperature(value=1.0, n=len(known.labels), before=before, after=before)
    found = minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded")
    after = float(found.fun)
    value = float(np.exp(found.x)) if after < before else 1.0
    return Temperature(value=value, n=len(known.labels), before=before, after=min(before, after))


def with_temperature(head: HeadPredictions, temperature: float) -> HeadPredictions:
    """The same predictions with all logits divided by ``temperature``.

    Raises:
        SettingsError: if the temperature is not above 0.
    """
    if not temperature > 0:
        raise SettingsError(f"a temperature must be above 0, got {temperature}: 1 changes nothing")
    odds = math.log(head.threshold / (1 - head.threshold)) / temperature
    return replace(
        head,
        logits=head.logits.astype(np.float64) / temperature,
        threshold=1 / (1 + math.exp(-odds)),
    )


def abstain_below(head: HeadPredictions, threshold: float) -> Abstention:
    """Coverage and accuracy, with Wilson's intervals, when less sure predictions are withheld.

    Raises:
        SettingsError: if the threshold does not lie in [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise SettingsError(
            f"a confidence threshold must lie between 0 and 1, got {threshold}: 0.8 withholds "
            "what is less than 80 % sure"
        )
    known = labelled(head)
    kept = confidences(known) >= threshold
    right = kept & (known.predicted() == known.labels)
    return Abstention(
        threshold=threshold,
        coverage=proportion(int(kept.sum()), len(kept)),
        accuracy=proportion(int(right.sum()), int(kept.sum())),
    )


def coverage_curve(head: HeadPredictions) -> CoverageCurve:
    """Accuracy of the surest images against their share.

    Source: Geifman and El-Yaniv 2017, https://arxiv.org/abs/1705.08500. Images of one
    confidence come together, so that their order does not count.

    Raises:
        DataError: if no image's label is known.
    """
    known = labelled(head)
    if not len(known.labels):
        raise DataError(
            "a coverage curve needs images whose label is known, found none: "
            "draw it of a labelled split"
        )
    confidence = confidences(known)
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum((known.predicted() == known.labels)[order])
    last = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    count = last + 1
    accuracy = right[last] / count
    images = np.diff(np.concatenate([[0], count]))
    return CoverageCurve(
        thresholds=confidence[order][last],
        coverage=count / len(order),
        accuracy=accuracy,
        risk=float(((1 - accuracy) * images).sum() / len(order)),
    )


def threshold_for(head: HeadPredictions, accuracy: float) -> Abstention | None:
    """The abstention that keeps most images while the kept ones reach ``accuracy``, or ``None``.

    Choose it on validation; judge it on test with :func:`abstain_below`.
    """
    curve = coverage_curve(head)
    reached = np.flatnonzero(curve.accuracy >= accuracy)
    if not len(reached):
        return None
    return abstain_below(head, float(curve.thresholds[reached[-1]]))


def _is_faultless(known: HeadPredictions) -> bool:
    """Whether every logit is on the right side, so that sharpening never hurts."""
    if known.output == "sigmoid" and known.logits.shape[1] > 1:
        truth = np.arange(known.logits.shape[1]) == known.labels[:, None]
        return bool(((known.logits > 0) == truth).all())
    return bool((known.predicted() == known.labels).all())


def labelled(head: HeadPredictions) -> HeadPredictions:
    """The predictions of those images whose label is known."""
    known = head.labels >= 0
    return replace(head, labels=head.labels[known], logits=head.logits[known])

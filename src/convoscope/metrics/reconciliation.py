"""Add a report's figures up again: two figures that should agree and do not stop the report."""

from __future__ import annotations

import itertools
import math

from convoscope.errors import ReconciliationError
from convoscope.metrics.intervals import Figure
from convoscope.metrics.summary import HeadMetrics, SplitMetrics


def reconcile(metrics: SplitMetrics) -> None:
    """Check that all figures of a split follow from its confusion matrices and from one another.

    Raises:
        ReconciliationError: at the first two that disagree.
    """
    for name, head in metrics.heads.items():
        where = f"{metrics.split}, head {name!r}"
        _counts(where, head)
        _rates(where, head)
        _averages(where, head)
        _calibration(where, head)
        _at_most(where, "labelled images", head.n, "images", metrics.images)
        if metrics.whole.n == head.n:
            _at_most(
                where,
                "images with all heads right",
                metrics.whole.correct,
                "images right",
                head.correct,
            )
    where = metrics.split
    whole = metrics.whole
    _same(
        where,
        "accuracy of the whole",
        whole.accuracy.value,
        "right / images",
        _share(whole.correct, whole.n),
    )
    losses = [head.loss.value for head in metrics.heads.values()]
    if None not in losses:
        _same(
            where,
            "loss",
            metrics.loss.value,
            "sum of the heads' losses",
            math.fsum(loss for loss in losses if loss is not None),
        )


def _counts(where: str, head: HeadMetrics) -> None:
    rows = [sum(row) for row in head.confusion]
    columns = [sum(column) for column in zip(*head.confusion, strict=True)]
    _same(where, "sum of the confusion matrix", sum(rows), "labelled images", head.n)
    for i, a_class in enumerate(head.classes):
        here = f"{where}, class {a_class.name!r}"
        _same(here, "row sum of the confusion matrix", rows[i], "support", a_class.support)
        _same(
            here, "column sum of the confusion matrix", columns[i], "predicted", a_class.predicted
        )
        _same(
            here, "diagonal of the confusion matrix", head.confusion[i][i], "right", a_class.correct
        )
    trace = sum(head.confusion[i][i] for i in range(len(rows)))
    _same(where, "trace of the confusion matrix", trace, "images right", head.correct)


def _rates(where: str, head: HeadMetrics) -> None:
    _same(where, "accuracy", head.accuracy.value, "trace / images", _share(head.correct, head.n))
    shares = [head.accuracy, *(head.top_k[k] for k in sorted(head.top_k))]
    for fewer, more in itertools.pairwise(shares):
        _at_most(where, "top-k accuracy", fewer.value, "top-k accuracy of more", more.value)
    for a_class in head.classes:
        here = f"{where}, class {a_class.name!r}"
        right, support, predicted = a_class.correct, a_class.support, a_class.predicted
        _same(
            here,
            "precision",
            a_class.precision.value,
            "right / predicted",
            _share(right, predicted),
        )
        _same(here, "recall", a_class.recall.value, "right / support", _share(right, support))
        _same(
            here,
            "F1",
            a_class.f1.value,
            "2 right / (predicted + support)",
            _share(2 * right, predicted + support),
        )
        _inside(here, "precision", a_class.precision)
        _inside(here, "recall", a_class.recall)
    for share in shares:
        _inside(where, "accuracy", share)


def _averages(where: str, head: HeadMetrics) -> None:
    for name in ("precision", "recall", "f1"):
        per_class = [
            (getattr(a_class, name).value or 0.0, a_class.support)
            for a_class in head.classes
            if a_class.support
        ]
        macro = _share(math.fsum(value for value, _ in per_class), len(per_class))
        weighted = _share(math.fsum(value * n for value, n in per_class), head.n)
        _same(where, f"macro {name}", getattr(head.macro, name).value, "mean over classes", macro)
        _same(
            where,
            f"weighted {name}",
            getattr(head.weighted, name).value,
            "mean over classes weighted by support",
            weighted,
        )
        _same(
            where, f"micro {name}", getattr(head.micro, name).value, "accuracy", head.accuracy.value
        )
    _same(
        where,
        "balanced accuracy",
        head.balanced_accuracy.value,
        "macro recall",
        head.macro.recall.value,
    )


def _calibration(where: str, head: HeadMetrics) -> None:
    bins = [b for b in head.calibration.bins if b.confidence is not None and b.accuracy is not None]
    _same(
        where, "images in the calibration bins", sum(b.n for b in bins), "labelled images", head.n
    )
    right = math.fsum((b.accuracy or 0.0) * b.n for b in bins)
    gap = math.fsum(abs((b.accuracy or 0.0) - (b.confidence or 0.0)) * b.n for b in bins)
    _same(where, "images right in the calibration bins", right, "images right", head.correct)
    _same(
        where,
        "calibration error",
        head.calibration.error.value,
        "mean gap of the bins",
        _share(gap, head.n),
    )


def _share(above: float, below: float) -> float | None:
    return above / below if below else None


def _same(where: str, one: str, value: float | None, other: str, again: float | None) -> None:
    if value is None or again is None:
        agree = value is again
    else:
        agree = math.isclose(value, again, rel_tol=1e-9, abs_tol=1e-12)
    if not agree:
        raise ReconciliationError(_sentence(where, one, value, "equal", other, again))


def _at_most(where: str, one: str, value: float | None, other: str, most: float | None) -> None:
    if value is not None and most is not None and value > most:
        raise ReconciliationError(_sentence(where, one, value, "be at most", other, most))


def _inside(where: str, name: str, figure: Figure) -> None:
    if figure.value is None:
        _same(where, f"low end of {name}", figure.low, f"{name}, undefined,", None)
        return
    _at_most(where, f"low end of {name}", figure.low, name, figure.value)
    _at_most(where, name, figure.value, f"high end of {name}", figure.high)


def _sentence(
    where: str, one: str, value: float | None, law: str, other: str, found: float | None
) -> str:
    return (
        f"{where}: {one} must {law} {other}, got {value} and {found}: "
        "compute the figures again from the saved predictions"
    )

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.metrics.conftest import MakeHead, MakePredictions, draw_head, together

from convoscope.errors import ReconciliationError
from convoscope.metrics.intervals import Figure
from convoscope.metrics.reconciliation import reconcile
from convoscope.metrics.summary import HeadMetrics, SplitMetrics, summarise


@pytest.mark.parametrize("images", [0, 1, 7, 300])
@pytest.mark.parametrize("unknown", [0, 3])
@pytest.mark.parametrize("classes", [2, 3, 12])
def test_true_figures_reconcile(
    make_head: MakeHead,
    make_predictions: MakePredictions,
    images: int,
    unknown: int,
    classes: int,
) -> None:
    a = make_head(images, classes, skill=0.7, unknown=unknown)
    b = make_head(images, 2, output="sigmoid", seed=1)
    reconcile(summarise(make_predictions(a=a, b=b), resamples=50))


def test_the_sentence_says_where_and_what() -> None:
    metrics = true_metrics()
    changed = replace(metrics, whole=replace(metrics.whole, accuracy=Figure(0.5, 0.4, 0.6)))
    right = metrics.whole.correct / metrics.whole.n
    message = (
        f"test: accuracy of the whole must equal right / images, got 0.5 and {right}: "
        "compute the figures again from the saved predictions"
    )
    with pytest.raises(ReconciliationError, match=f"^{re.escape(message)}$"):
        reconcile(changed)


def true_metrics() -> SplitMetrics:
    return summarise(together({"label": draw_head(90, 4, skill=0.7)}), resamples=50)


def one_more_in_a_cell(head: HeadMetrics) -> HeadMetrics:
    first, *rest = head.confusion
    return replace(head, confusion=((first[0], first[1] + 1, *first[2:]), *rest))


def two_cells_swapped(head: HeadMetrics) -> HeadMetrics:
    """Sums of rows stay, sums of columns do not."""
    first, *rest = head.confusion
    return replace(head, confusion=((first[1], first[0], *first[2:]), *rest))


def first_class(**changes: object) -> Callable[[HeadMetrics], HeadMetrics]:
    def change(head: HeadMetrics) -> HeadMetrics:
        first, *rest = head.classes
        return replace(head, classes=(replace(first, **changes), *rest))  # type: ignore[arg-type]

    return change


def averages(kind: str, name: str) -> Callable[[HeadMetrics], HeadMetrics]:
    def change(head: HeadMetrics) -> HeadMetrics:
        changed = replace(getattr(head, kind), **{name: Figure(0.123, 0.1, 0.2)})
        return replace(head, **{kind: changed})

    return change


def calibrated(head: HeadMetrics) -> HeadMetrics:
    return replace(head, calibration=replace(head.calibration, error=Figure(0.123, 0.1, 0.2)))


def fewer_in_a_bin(head: HeadMetrics) -> HeadMetrics:
    bins = tuple(replace(b, n=b.n + 1) if b.n else b for b in head.calibration.bins)
    return replace(head, calibration=replace(head.calibration, bins=bins))


def wrong_in_a_bin(head: HeadMetrics) -> HeadMetrics:
    bins = tuple(replace(b, accuracy=0.0) if b.n else b for b in head.calibration.bins)
    return replace(head, calibration=replace(head.calibration, bins=bins))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_more_in_a_cell, "test, head 'label': sum of the confusion matrix must equal"),
        (two_cells_swapped, "class 'class 0': column sum of the confusion matrix must equal"),
        (first_class(support=7), "row sum of the confusion matrix must equal support"),
        (first_class(correct=1), "diagonal of the confusion matrix must equal right"),
        (first_class(precision=Figure(0.1, 0.0, 0.2)), "precision must equal right / predicted"),
        (first_class(precision=Figure(None, None, None)), "precision must equal right / predicted"),
        (first_class(recall=Figure(0.1, 0.0, 0.2)), "recall must equal right / support"),
        (first_class(f1=Figure(0.1, 0.0, 0.2)), "F1 must equal 2 right"),
        (lambda head: replace(head, correct=3), "trace of the confusion matrix must equal images"),
        (
            lambda head: replace(head, accuracy=Figure(0.1, 0.0, 0.2)),
            "accuracy must equal trace / images",
        ),
        (
            lambda head: replace(head, top_k={2: Figure(0.1, 0.0, 0.2)}),
            "top-k accuracy must be at most top-k accuracy of more",
        ),
        (
            lambda head: replace(head, balanced_accuracy=Figure(0.1, 0.0, 0.2)),
            "balanced accuracy must equal macro recall",
        ),
        (averages("macro", "precision"), "macro precision must equal mean over classes"),
        (averages("macro", "recall"), "macro recall must equal mean over classes"),
        (averages("weighted", "f1"), "weighted f1 must equal mean over classes weighted"),
        (averages("micro", "recall"), "micro recall must equal accuracy"),
        (calibrated, "calibration error must equal mean gap of the bins"),
        (fewer_in_a_bin, "images in the calibration bins must equal labelled images"),
        (wrong_in_a_bin, "images right in the calibration bins must equal images right"),
    ],
)
def test_a_changed_figure_is_found(
    change: Callable[[HeadMetrics], HeadMetrics], message: str
) -> None:
    metrics = true_metrics()
    with pytest.raises(ReconciliationError, match=re.escape(message)):
        reconcile(replace(metrics, heads={"label": change(metrics.heads["label"])}))


def test_an_interval_must_hold_its_figure() -> None:
    metrics = true_metrics()
    head = metrics.heads["label"]
    accuracy = replace(head.accuracy, high=0.0)
    changed = replace(head, accuracy=accuracy, top_k={})
    changed = replace(changed, micro=replace(head.micro, precision=accuracy))
    with pytest.raises(ReconciliationError, match="accuracy must be at most high end of accuracy"):
        reconcile(replace(metrics, heads={"label": changed}))


def test_what_is_undefined_has_no_interval() -> None:
    head = replace(draw_head(20, 3, skill=9.0), class_names=("a", "b", "c"))
    head = replace(head, labels=head.labels * 0, logits=head.logits * 0)
    metrics = summarise(together({"label": head}), resamples=50)
    a, b, c = metrics.heads["label"].classes
    assert b.recall.value is None
    wrong = replace(b, recall=Figure(None, 0.0, 1.0))
    changed = replace(metrics.heads["label"], classes=(a, wrong, c))
    with pytest.raises(ReconciliationError, match="low end of recall must equal recall, undefined"):
        reconcile(replace(metrics, heads={"label": changed}))


def test_more_labelled_than_there_are_images_is_found() -> None:
    with pytest.raises(ReconciliationError, match="labelled images must be at most images"):
        reconcile(replace(true_metrics(), images=89))


def test_a_whole_better_than_a_head_is_found() -> None:
    metrics = true_metrics()
    whole = replace(metrics.whole, correct=90)
    with pytest.raises(ReconciliationError, match="images with all heads right must be at most"):
        reconcile(replace(metrics, whole=whole))


def test_a_total_loss_that_the_heads_do_not_add_up_to_is_found() -> None:
    with pytest.raises(ReconciliationError, match="loss must equal sum of the heads' losses"):
        reconcile(replace(true_metrics(), loss=Figure(9.0, 8.0, 10.0)))

"""Every figure, computed from saved predictions, with its interval."""

from convoscope.metrics.comparison import McNemar, compare_accuracy, mcnemar
from convoscope.metrics.intervals import Figure, Interval, bootstrap, wilson
from convoscope.metrics.predictions import HeadPredictions, Predictions
from convoscope.metrics.reconciliation import reconcile
from convoscope.metrics.summary import HeadMetrics, SplitMetrics, summarise

__all__ = [
    "Figure",
    "HeadMetrics",
    "HeadPredictions",
    "Interval",
    "McNemar",
    "Predictions",
    "SplitMetrics",
    "bootstrap",
    "compare_accuracy",
    "mcnemar",
    "reconcile",
    "summarise",
    "wilson",
]

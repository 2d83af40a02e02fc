"""The few figures of an epoch, from the predictions of a split as the network stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from convoscope.errors import DataError
from convoscope.metrics.classification import head_accuracy, total_loss, whole_accuracy
from convoscope.metrics.predictions import Predictions
from convoscope.network import Network

Evaluate: TypeAlias = Callable[[Network], Predictions]


def scores(
    split: str, predictions: Predictions, head_weights: Mapping[str, float]
) -> dict[str, float]:
    """``<split>_loss``, ``<split>_accuracy`` and, with several heads, ``<split>_accuracy/<head>``.

    The loss adds up the heads', each times its weight, and is NaN where the network's output is
    no longer finite. An accuracy that no image's labels define is left out. The training split's
    loss is called ``train_evaluated_loss``, for ``train_loss`` is the one that is learnt from.

    Raises:
        DataError: if a head has no image whose label is known.
    """
    for name, head in predictions.heads.items():
        if not (head.labels >= 0).any():
            raise DataError(
                f"{split} split, head {name!r}: a split that is evaluated needs labelled images, "
                f"found none among {len(head.labels)}: leave the split out or label it"
            )
    is_finite = all(np.isfinite(head.logits).all() for head in predictions.heads.values())
    loss = total_loss(predictions, head_weights) if is_finite else math.nan
    found = {
        "train_evaluated_loss" if split == "train" else f"{split}_loss": loss,
        f"{split}_accuracy": whole_accuracy(predictions),
    }
    if len(predictions.heads) > 1:
        for name, head in predictions.heads.items():
            found[f"{split}_accuracy/{name}"] = head_accuracy(head)
    return {
        name: value
        for name, value in found.items()
        if name.endswith("loss") or not math.isnan(value)
    }

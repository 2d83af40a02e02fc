"""What comes out of a training: kept weights, predictions of each split, and what is to be said."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from convoscope.arrays import FloatArray
from convoscope.data.copies import belonging
from convoscope.data.dataset import SplitName
from convoscope.jobs.calibrate import calibrate
from convoscope.jobs.predictions import predictions_of
from convoscope.jobs.prepare import Prepared
from convoscope.jobs.progress import Progress
from convoscope.jobs.shown import write_shown
from convoscope.network import Network
from convoscope.runs import Run
from convoscope.training.outcome import FitResult, lower_rate

HOPELESS = 10.0
"""A loss of so many times that of guessing evenly is no loss of a network that learns."""


def write_outcome(
    run: Run,
    prepared: Prepared,
    network: Network,
    parameters: Mapping[str, FloatArray],
    progress: Progress,
) -> None:
    """The kept parameters, what the network says of each split with them, and its pictures."""
    run.write_parameters(parameters)
    kept = network.with_parameters(parameters)
    groups = belonging(prepared.decoded)
    said = [
        predictions_of(
            kept,
            prepared.inputs,
            prepared.dataset,
            indices,
            split=split,
            groups=groups,
            batch_size=prepared.settings.batch_size,
            progress=progress,
        )
        for split, indices in prepared.splits.indices.items()
        if len(indices)
    ]
    for predictions in said:
        run.write_predictions(predictions)
    calibrate(run)
    write_shown(run, prepared.decoded, said)


def outcome_notes(result: FitResult, prepared: Prepared) -> Iterator[str]:
    """Sentences on how training ended that nobody should overlook."""
    if result.divergence is not None:
        yield str(result.divergence.error())
    elif result.reason == "interrupted" and result.best_epoch == 0:
        yield "interrupted before the first epoch ended: the weights are those of its last step"
    elif result.history and _is_hopeless(result, prepared):
        scores, optimiser = result.history[-1].scores, prepared.settings.optimiser
        yield (
            f"training went astray: its loss ended at {scores['train_loss']:.3g}, where guessing "
            f"evenly gives {guessing_loss(prepared):.3g}, and validation is no better than always "
            f"naming the largest class: try {lower_rate(optimiser.kind, optimiser.learning_rate)}"
        )


def guessing_loss(prepared: Prepared) -> float:
    """The loss of a network that finds every class equally likely: the heads' ln K, weighted."""
    weights = dict(prepared.settings.head_weights)
    return sum(
        weights.get(head, 1.0) * math.log(len(names))
        for head, names in prepared.dataset.class_names.items()
    )


def largest_share(prepared: Prepared, split: SplitName) -> float:
    """How often one is right on a split by always giving its most frequent answer."""
    labels = prepared.dataset.labels
    rows = prepared.splits.indices[split]
    answers = np.stack([labels[head][rows] for head in sorted(labels)], axis=1)
    answers = answers[(answers >= 0).all(axis=1)]
    if not len(answers):
        return math.nan
    counts = np.unique(answers, axis=0, return_counts=True)[1]
    return float(counts.max() / len(answers))


def _is_hopeless(result: FitResult, prepared: Prepared) -> bool:
    """Whether the losses stayed finite, but so large that nothing can have been learnt."""
    scores = result.history[-1].scores
    if scores["train_loss"] <= HOPELESS * guessing_loss(prepared):
        return False
    right = scores.get("validation_accuracy")
    return right is None or not right > largest_share(prepared, "validation")

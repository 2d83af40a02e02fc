"""What the frozen features say without any training: the figure that a new head has to beat."""

from __future__ import annotations

from collections.abc import Iterator

from convoscope.data.copies import belonging
from convoscope.jobs.predictions import label
from convoscope.jobs.prepare import Prepared
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.summary import summarise
from convoscope.runs import Run
from convoscope.transfer import neighbours
from convoscope.transfer.features import Features


def write_baseline(run: Run, prepared: Prepared) -> Iterator[str]:
    """Save what nearest neighbours among the training images say of the test images, and say how
    often they are right; nothing without frozen features, or without test images.
    """
    features = prepared.features
    if features is None or not len(prepared.splits.indices["test"]):
        return
    said, votes = _votes(prepared, features)
    run.write_baseline(said)
    whole = summarise(said).whole
    right = whole.accuracy
    if right.value is None or right.low is None or right.high is None:
        return
    yield (
        f"without any training, the nearest neighbours in the features of {features.layer} "
        f"({votes}, chosen on validation) are right on {right.value:.1%} of {whole.n} test images "
        f"(95% interval {right.low:.1%} to {right.high:.1%})"
    )


def _votes(prepared: Prepared, features: Features) -> tuple[Predictions, str]:
    """The neighbours' predictions of the test split, and how many of them vote."""
    dataset, rows = prepared.dataset, prepared.splits.indices
    vectors = neighbours.directions(features.plain)
    chosen = {
        head: neighbours.choose(
            vectors,
            dataset.labels[head],
            len(names),
            train=rows["train"],
            validation=rows["validation"],
        )
        for head, names in dataset.class_names.items()
    }
    groups = belonging(prepared.decoded)
    said = label(
        {head: found.logits(vectors[rows["test"]]) for head, found in chosen.items()},
        prepared.architecture,
        split="test",
        ids=[dataset.ids[row] for row in rows["test"]],
        labels={head: dataset.labels[head][rows["test"]] for head in chosen},
        class_names=dataset.class_names,
        groups=None if groups is None else [groups[row] for row in rows["test"]],
    )
    return said, ", ".join(f"k = {found.k}" for found in chosen.values())

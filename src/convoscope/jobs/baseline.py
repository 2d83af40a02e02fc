"""What the frozen features say without any training: the figure that a new head has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from convoscope import engines
from convoscope.architecture.graph import Head, trunk_shape
from convoscope.architecture.layers import GlobalAvgPool
from convoscope.arrays import FloatArray
from convoscope.data.copies import belonging
from convoscope.data.dataset import SplitName
from convoscope.jobs.predictions import label, logits_of
from convoscope.jobs.prepare import Prepared
from convoscope.jobs.progress import Progress
from convoscope.metrics.predictions import Predictions
from convoscope.metrics.summary import summarise
from convoscope.network import Network
from convoscope.runs import Run
from convoscope.transfer import neighbours
from convoscope.transfer.neighbours import Neighbours


def write_baseline(
    run: Run, prepared: Prepared, network: Network, progress: Progress
) -> Iterator[str]:
    """Save what nearest neighbours among the training images say of the test images, and say how
    often they are right; nothing for a network that has not learnt before, or without test images.

    ``network`` is what was taught in the end, as it began. What they say of validation is saved
    too where pretrained layers learnt, for it tells whether that did them good.
    """
    if prepared.adapted is None:
        return
    place, vectors = _vectors(prepared, network, progress)
    voters = _voters(prepared, vectors)
    wanted: list[SplitName] = ["validation"] if prepared.adapted.teaches_pretrained else []
    for split in (*wanted, "test"):
        if len(prepared.splits.indices[split]):
            run.write_baseline(_said(prepared, vectors, voters, split))
    if not len(prepared.splits.indices["test"]):
        return
    whole = summarise(run.baseline("test")).whole
    right = whole.accuracy
    if right.value is None or right.low is None or right.high is None:
        return
    votes = ", ".join(f"k = {found.k}" for found in voters.values())
    yield (
        f"without any training, the nearest neighbours in the features of {place} "
        f"({votes}, chosen on validation) are right on {right.value:.1%} of {whole.n} test images "
        f"(95% interval {right.low:.1%} to {right.high:.1%})"
    )


def _vectors(prepared: Prepared, network: Network, progress: Progress) -> tuple[str, FloatArray]:
    """The layer that the trunk ends with, and each image's features there as a unit vector (N, C).

    They are there already where some stage learnt the head alone.
    """
    place = prepared.architecture.layers[-1].name
    assert prepared.adapted is not None, "it has learnt before"
    for stage, features in zip(prepared.adapted.stages, prepared.features, strict=True):
        if features is not None and stage.place == place:
            return place, neighbours.directions(features.plain)
    pooled = (GlobalAvgPool(f"{place}-mean"),) if len(trunk_shape(network.architecture)) > 1 else ()
    trunk = replace(network.architecture, heads=(Head(layers=pooled),))
    heads = {layer.name for head in network.architecture.heads for layer in head.layers}
    below = engines.build(
        trunk,
        preprocessing=network.preprocessing,
        engine=prepared.request.engine,
        parameters={
            name: array
            for name, array in network.parameters().items()
            if name.partition(".")[0] not in heads
        },
        device=prepared.request.device,
        precision=prepared.request.precision,
    )
    (found,) = logits_of(below, prepared.inputs, progress=progress).values()
    return place, neighbours.directions(found[:, None, None])


def _voters(prepared: Prepared, vectors: FloatArray) -> dict[str, Neighbours]:
    """Per head the training images that vote, and how many of them."""
    dataset, rows = prepared.dataset, prepared.splits.indices
    return {
        head: neighbours.choose(
            vectors,
            dataset.labels[head],
            len(names),
            train=rows["train"],
            validation=rows["validation"],
        )
        for head, names in dataset.class_names.items()
    }


def _said(
    prepared: Prepared, vectors: FloatArray, voters: dict[str, Neighbours], split: SplitName
) -> Predictions:
    """The neighbours' predictions of a split."""
    dataset, rows = prepared.dataset, prepared.splits.indices[split]
    groups = belonging(prepared.decoded)
    return label(
        {head: found.logits(vectors[rows]) for head, found in voters.items()},
        prepared.architecture,
        split=split,
        ids=[dataset.ids[row] for row in rows],
        labels={head: dataset.labels[head][rows] for head in voters},
        class_names=dataset.class_names,
        groups=None if groups is None else [groups[row] for row in rows],
    )

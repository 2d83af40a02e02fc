"""The lessons of a training run: per stage of it what learns, from what, and at which rates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convoscope import engines
from convoscope.arrays import IntArray
from convoscope.data.batches import Batches
from convoscope.data.dataset import SplitName
from convoscope.jobs.adapted import Stage
from convoscope.jobs.predictions import predictions_of
from convoscope.jobs.prepare import Prepared
from convoscope.jobs.scaling import scaled_down, sizes_before_heads
from convoscope.metrics.predictions import Predictions
from convoscope.network import HeadLoss, Learner, Network
from convoscope.training import epoch
from convoscope.training.loop import Parameters
from convoscope.training.phases import Phase
from convoscope.transfer.freezing import is_statistic
from convoscope.transfer.view_batches import ViewBatches


def phases(prepared: Prepared, network: Network) -> tuple[Phase, ...]:
    """A phase for each stage; ``network`` is what is taught in the last one, or the only one."""
    if prepared.adapted is None:
        return (_phase(prepared, None, lambda: network),)
    last = prepared.adapted.last

    def network_of(stage: Stage) -> Callable[[], Network]:
        return lambda: network if stage is last else stage_network(prepared, stage)

    return tuple(_phase(prepared, stage, network_of(stage)) for stage in prepared.adapted.stages)


def stage_network(prepared: Prepared, stage: Stage) -> Network:
    """What is taught in a stage: the parameters that have learnt before, and fresh ones that suit
    what they are given.
    """
    request = prepared.request
    network = engines.build(
        stage.taught,
        preprocessing=prepared.preprocessing if stage.front is None else None,
        engine=request.engine,
        seed=request.seed,
        device=request.device,
        precision=request.precision,
    )
    started = network.with_parameters(stage.start)
    sizes = _sizes(prepared, stage, started)
    return started.with_parameters(scaled_down(started.parameters(), sizes)) if sizes else started


def losses(prepared: Prepared) -> tuple[HeadLoss, ...]:
    """A loss for each head, as the settings ask."""
    settings, train = prepared.settings, prepared.splits.indices["train"]
    weights = dict(settings.head_weights)
    return tuple(
        HeadLoss(
            head=head,
            weight=weights.get(head, 1.0),
            class_weights=balanced_weights(prepared.dataset.labels[head][train], len(names))
            if settings.class_weights == "balanced"
            else None,
            label_smoothing=settings.label_smoothing,
        )
        for head, names in prepared.dataset.class_names.items()
    )


def balanced_weights(labels: IntArray, classes: int) -> tuple[float, ...]:
    """The weight of each class, N / (K n) for n of its N images known; 1 on average over images.

    A class without images gets 0: there is nothing to weigh.
    """
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    known = counts.sum()
    return tuple(float(known / (classes * n)) if n else 0.0 for n in counts)


def _phase(prepared: Prepared, stage: Stage | None, network: Callable[[], Network]) -> Phase:
    settings = prepared.settings if stage is None else stage.settings(prepared.settings)
    has_validation = len(prepared.splits.indices.get("validation", ())) > 0

    def learner(best: Parameters | None) -> Learner:
        start = network() if best is None else network().with_parameters(best)
        return engines.learner(
            start,
            optimiser=settings.optimiser,
            losses=losses(prepared),
            rates=_rates(prepared, stage, start),
            seed=settings.seed,
        )

    return Phase(
        name="" if stage is None else stage.name,
        learner=learner,
        settings=settings,
        train=_batches(prepared, stage),
        validation=_evaluation(prepared, stage, "validation") if has_validation else None,
        watch={split: _evaluation(prepared, stage, split) for split in prepared.request.watch},
    )


def _batches(prepared: Prepared, stage: Stage | None) -> epoch.Batches:
    """The training images, or their features, which a policy changed when they were computed."""
    settings, features = prepared.settings, prepared.features_of(stage)
    labels, rows = prepared.dataset.labels, prepared.splits.indices["train"]
    if features is not None and len(features.views) > 1:
        return ViewBatches(
            features=features,
            labels=labels,
            indices=rows,
            batch_size=settings.batch_size,
            seed=settings.seed,
        )
    return Batches(
        prepared.inputs_of(stage),
        labels,
        rows,
        batch_size=settings.batch_size,
        seed=settings.seed,
        policy=settings.augment if features is None else "none",
        classes={head: len(names) for head, names in prepared.dataset.class_names.items()},
    )


def _rates(prepared: Prepared, stage: Stage | None, network: Network) -> dict[str, float]:
    """The multipliers of the learning rate, of what has learnt before parameter by parameter."""
    if stage is None:
        return dict(prepared.settings.rates)
    learnable = (name for name in network.parameters() if not is_statistic(name))
    rates = {name: stage.multipliers[name] for name in learnable}
    for layer, size in _sizes(prepared, stage, network).items():
        rates[f"{layer}.weight"] /= size
    return rates


def _sizes(prepared: Prepared, stage: Stage, network: Network) -> dict[str, float]:
    """How large the features are before each new layer; nobody asked where no strategy is named."""
    adapted, request = prepared.adapted, prepared.request
    if adapted is None or request.tune is None:
        return {}
    return sizes_before_heads(
        network,
        prepared.inputs_of(stage),
        prepared.splits.indices["train"],
        frozenset(network.parameters()) - frozenset(adapted.parameters),
        device=request.device,
        precision=request.precision,
    )


def _evaluation(
    prepared: Prepared, stage: Stage | None, split: SplitName
) -> Callable[[Network], Predictions]:
    def evaluate(network: Network) -> Predictions:
        return predictions_of(
            network,
            prepared.inputs_of(stage),
            prepared.dataset,
            prepared.splits.indices[split],
            split=split,
            batch_size=prepared.settings.batch_size,
        )

    return evaluate

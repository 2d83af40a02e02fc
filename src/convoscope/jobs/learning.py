"""A prepared run's network taught: the losses, where to start from, the loop, the recorder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from convoscope import engines
from convoscope.arrays import IntArray
from convoscope.data.batches import Batches
from convoscope.data.dataset import SplitName
from convoscope.engines.learning import multipliers
from convoscope.errors import WeightsError
from convoscope.jobs.predictions import predictions_of
from convoscope.jobs.prepare import Prepared
from convoscope.jobs.recorder import Recorder
from convoscope.metrics.predictions import Predictions
from convoscope.network import HeadLoss, Network
from convoscope.runs import open_run
from convoscope.training import epoch
from convoscope.training.loop import fit
from convoscope.training.outcome import FitResult
from convoscope.transfer.freezing import is_statistic
from convoscope.transfer.view_batches import ViewBatches

FreshNetwork: TypeAlias = tuple[Network, tuple[str, ...]]
"""A network to train, and sentences on where its parameters come from."""


def fresh_network(prepared: Prepared) -> FreshNetwork:
    """The network that training starts from.

    Of a pretrained one it is what its frozen front leaves to be taught.

    Raises:
        WeightsError: if the run to start from has no parameter that fits.
        UnknownNameError: if a learning rate is for parameters that are not there.
    """
    request = prepared.request
    network = engines.build(
        prepared.taught,
        preprocessing=prepared.preprocessing if prepared.features is None else None,
        engine=request.engine,
        seed=request.seed,
        device=request.device,
        precision=request.precision,
    )
    if prepared.adapted is not None:
        return network.with_parameters(prepared.adapted.start), ()
    # The learner checks them too, but only when the run has its folder.
    multipliers(prepared.architecture, tuple(network.parameters()), request.rate)
    if request.from_run is None:
        return network, ()
    return _started_from(network, Path(request.from_run))


def teach(
    network: Network,
    prepared: Prepared,
    recorder: Recorder,
    should_stop: Callable[[], bool],
) -> FitResult:
    """Train the network, from the recorder's checkpoint if it has one."""
    splits, settings = prepared.splits.indices, prepared.settings
    has_validation = len(splits.get("validation", ())) > 0
    learner = engines.learner(
        network,
        optimiser=settings.optimiser,
        losses=losses(prepared),
        rates=_rates(prepared, network),
        seed=settings.seed,
    )
    # A loss that overflows is found and said by the loop; NumPy's warnings would only be noise.
    with np.errstate(over="ignore", invalid="ignore"):
        return fit(
            learner,
            train=_batches(prepared),
            validation=_evaluation(prepared, "validation") if has_validation else None,
            settings=settings,
            listen=recorder.listen,
            keep=recorder.keep,
            recall=recorder.recall,
            start=recorder.start(),
            should_stop=should_stop,
            watch={split: _evaluation(prepared, split) for split in prepared.request.watch},
        )


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


def _batches(prepared: Prepared) -> epoch.Batches:
    """The training images, or their features, which a policy changed when they were computed."""
    settings, features = prepared.settings, prepared.features
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
        prepared.inputs,
        labels,
        rows,
        batch_size=settings.batch_size,
        seed=settings.seed,
        policy=settings.augment if features is None else "none",
        classes={head: len(names) for head, names in prepared.dataset.class_names.items()},
    )


def _rates(prepared: Prepared, network: Network) -> dict[str, float]:
    """The multipliers of the learning rate, of a pretrained network parameter by parameter."""
    if prepared.adapted is None:
        return dict(prepared.settings.rates)
    learnable = (name for name in network.parameters() if not is_statistic(name))
    return {name: prepared.adapted.multipliers[name] for name in learnable}


def _evaluation(prepared: Prepared, split: SplitName) -> Callable[[Network], Predictions]:
    def evaluate(network: Network) -> Predictions:
        return predictions_of(
            network,
            prepared.inputs,
            prepared.dataset,
            prepared.splits.indices[split],
            split=split,
            batch_size=prepared.settings.batch_size,
        )

    return evaluate


def _started_from(network: Network, path: Path) -> FreshNetwork:
    theirs, ours = open_run(path).parameters(), network.parameters()
    taken = {
        name: array
        for name, array in theirs.items()
        if name in ours and ours[name].shape == array.shape
    }
    if not taken:
        raise WeightsError(
            f"{path}: to start from a run, some of its parameters must have the name and shape of "
            f"{network.architecture.name}'s, none of its {len(theirs)} has: choose another run"
        )
    fresh = sorted({name.rpartition(".")[0] for name in ours if name not in taken})
    rest = f"; freshly initialised: {', '.join(fresh)}" if fresh else ""
    note = f"started from the parameters of {path} ({len(taken)} of {len(ours)}){rest}"
    return network.with_parameters(taken), (note,)

"""A network that has learnt before, made fit for a task: what of it learns, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convoscope.architecture.branches import Adopted
from convoscope.architecture.graph import Architecture, trunk_shape, walk
from convoscope.arrays import FloatArray
from convoscope.data.cache import Decoded
from convoscope.data.dataset import Dataset
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.splits import Splits
from convoscope.errors import SettingsError
from convoscope.jobs.progress import Progress
from convoscope.jobs.request import TrainRequest
from convoscope.jobs.starting import Start
from convoscope.training.settings import TrainingSettings
from convoscope.transfer.depth import shapes_in_order
from convoscope.transfer.features import Features, Front, Views, frozen_features
from convoscope.transfer.freezing import Division, divided, is_statistic
from convoscope.transfer.rates import Depths, depths, gradual_rates, head_rates, tuned_rates
from convoscope.transfer.strategies import Tuning, tuning

MOST_FEATURES = 8 * 2**30
"""Bytes that the features of all images may take; what gives more is computed anew each epoch."""

HEAD = "head"
"""The name of the stage in which the head learns alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """A stretch of training in which the same part of a network learns.

    ``multipliers`` of the learning rate are by parameter name. What lies below the first layer that
    learns, ``front``, is computed once, and ``taught`` is what follows it; it is ``None``, and
    ``taught`` the whole, where already the first layer learns, or for the reason ``unsplit``.
    ``place`` is the layer or inner module that the front ends with.
    ``epochs`` are how many at most, ``rate`` multiplies all rates; the schedule is for the last.
    """

    name: str
    multipliers: Mapping[str, float]
    taught: Architecture
    front: Front | None
    start: Mapping[str, FloatArray]
    epochs: int
    rate: float
    is_last: bool
    place: str = ""
    unsplit: str = ""

    def settings(self, whole: TrainingSettings) -> TrainingSettings:
        """Those of the run, as far as they are for this stage."""
        optimiser = replace(
            whole.optimiser, learning_rate=whole.optimiser.learning_rate * self.rate
        )
        schedule = whole.schedule if self.is_last else type(whole.schedule)()
        return replace(whole, epochs=self.epochs, optimiser=optimiser, schedule=schedule)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adapted:
    """A network that has learnt before with its new head, and the stages in which it learns again.

    ``parameters`` are those from before.
    """

    request: TrainRequest
    start: Start
    architecture: Architecture
    parameters: Mapping[str, FloatArray]
    tuning: Tuning
    stages: tuple[Stage, ...]

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image file becomes what the network sees."""
        return self.start.preprocessing

    @property
    def last(self) -> Stage:
        """The stage in which most of it learns."""
        return self.stages[-1]

    @property
    def teaches_pretrained(self) -> bool:
        """Whether any parameter that has learnt before learns again."""
        rates = self.last.multipliers
        return any(rates[name] > 0 for name in self.parameters)

    @property
    def is_solved(self) -> bool:
        """Whether its last layer is solved at once instead of learnt in steps."""
        return self.tuning.strategy.learns == "solved head"

    def facts(self) -> dict[str, Any]:
        """What ``model.json`` says of it as ``backbone``."""
        total = sum(p.layer.parameter_count(p.input_shape) for p in walk(self.architecture))
        shapes = shapes_in_order(self.architecture)
        frozen = sum(
            math.prod(shapes[name])
            for name, rate in self.last.multipliers.items()
            if rate == 0 and not is_statistic(name)
        )
        return {
            **self.start.facts(),
            "tune": self.request.tune or "last",
            "trained": self.tuning.trained,
            "stages": [stage.name for stage in self.stages if stage.name],
            "frozen_up_to": self.last.place or None,
            "frozen_parameters": frozen,
            "learnt_parameters": total - frozen,
            "views": self.request.views,
        }

    def said_of_start(self) -> tuple[str, ...]:
        """A sentence where the network is another run's."""
        if self.request.from_run is None:
            return ()
        shapes = shapes_in_order(self.architecture)
        fresh = sorted({n.rpartition(".")[0] for n in shapes if n not in self.parameters})
        rest = f"; freshly initialised: {', '.join(fresh)}" if fresh else ""
        return (
            f"started from the parameters of {self.request.from_run} "
            f"({len(self.parameters)} of {len(shapes)}){rest}",
        )

    def notes(self) -> Iterator[str]:
        """Sentences on what is computed anew although it does not learn."""
        for stage in self.stages:
            if stage.unsplit:
                yield f"what is frozen is computed anew in every epoch: {stage.unsplit}"


def adapt(
    request: TrainRequest, start: Start, architecture: Architecture, data: Dataset
) -> Adapted:
    """The network with its head, and the stages in which it learns.

    Raises:
        UnknownNameError: if a learning rate, or ``tune``, is for what is not there.
        SettingsError: if more is to learn than there is, the stages need more epochs than are
            asked for, or images are to be varied in a way that a frozen part cannot follow.
    """
    parameters = start.parameters(architecture, data.class_names)
    asked = tuning(request.tune or "last")
    depth = depths(architecture, parameters)
    rates = tuned_rates(
        depth,
        asked,
        pretrained=request.pretrained_rate,
        norms=request.norms,
        asked=request.rate,
    )
    maker = _Maker(request, start, architecture, parameters, len(data))
    stages = tuple(maker.stages(depth, rates))
    _check_varied(request, start, stages)
    return Adapted(
        request=request,
        start=start,
        architecture=architecture,
        parameters=parameters,
        tuning=asked,
        stages=stages,
    )


def features_of(
    adapted: Adapted | None, decoded: Decoded, divided: Sequence[Splits], progress: Progress
) -> tuple[Features | None, ...]:
    """Per stage the features of the decoded images by its frozen front, if it has one.

    Views that differ from the plain one are computed for the training images of any division.
    """
    if adapted is None:
        return ()
    rows = np.unique(np.concatenate([splits.indices["train"] for splits in divided]))
    found: dict[int, Features] = {}
    for stage in adapted.stages:
        if stage.front is not None and id(stage.front) not in found:
            found[id(stage.front)] = frozen_features(
                stage.front,
                decoded.images,
                views=_views(adapted.request, adapted.stages),
                rows=rows,
                progress=lambda done, total: progress("features", done, total),
            )
    return tuple(found.get(id(stage.front)) for stage in adapted.stages)


def rounding_notes(features: Sequence[Features | None]) -> Iterator[str]:
    """A sentence for all features that are not kept exactly."""
    for each in dict.fromkeys(each for each in features if each is not None):
        if each.rounding:
            yield (
                f"features of {each.layer} are kept as float16, for they are many: rounding "
                f"changes them by {each.rounding:.2%} at most (root mean square)"
            )


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the stages of one network."""

    request: TrainRequest
    start: Start
    architecture: Architecture
    parameters: Mapping[str, FloatArray]
    images: int

    def stages(self, depth: Depths, rates: Mapping[str, float]) -> Iterator[Stage]:
        """The head alone where that is asked for, block after block, then all that learns."""
        asked, spent = self.request, 0
        every = asked.unfreeze_every
        first = asked.head_epochs or every
        if first:
            yield self._stage(HEAD, head_rates(depth, rates), first)
            spent += first
        for count, gradual in enumerate(gradual_rates(depth, rates) if every else (), start=1):
            yield self._stage(f"last {count}", gradual, every, asked.tune_rate)
            spent += every
        if spent >= asked.epochs:
            raise SettingsError(
                f"epochs: the head alone and the blocks after it take {spent} epochs, then all "
                f"that learns must learn at least one, got {asked.epochs}: give --epochs "
                f"{spent + 10}, or fewer --head-epochs"
            )
        name = "tuned" if first else ""
        rate = asked.tune_rate if first else 1.0
        yield self._stage(name, rates, asked.epochs - spent, rate, is_last=True)

    def _stage(
        self,
        name: str,
        rates: Mapping[str, float],
        epochs: int,
        rate: float = 1.0,
        *,
        is_last: bool = False,
    ) -> Stage:
        division, unsplit = self._divided(rates)
        taught = self.architecture if division is None else division.rest
        gone = frozenset() if division is None else division.frozen
        return Stage(
            name=name,
            multipliers=rates,
            taught=taught,
            front=None if division is None else self._front(division),
            start={n: array for n, array in self.parameters.items() if n not in gone},
            epochs=epochs,
            rate=rate,
            is_last=is_last,
            place="" if division is None else division.place,
            unsplit=unsplit,
        )

    def _divided(self, rates: Mapping[str, float]) -> tuple[Division | None, str]:
        """Where the network is divided; or why it is not, though some of it is frozen."""
        first = next(iter(rates), "")
        if rates.get(first):
            return None, ""
        division = divided(self.architecture, rates)
        if division is None:
            inside = any(isinstance(each, Adopted) for each in self.architecture.layers)
            return None, "its code cannot be divided below what learns" if inside else ""
        size = 4 * math.prod(trunk_shape(division.first)) * self.images * self.request.views
        if size > MOST_FEATURES:
            return None, (
                f"the features of {division.place} would take {size / 2**30:.0f} GiB, more than "
                f"{MOST_FEATURES / 2**30:.0f}"
            )
        return division, ""

    def _front(self, division: Division) -> Front:
        return Front(
            architecture=division.first,
            parameters={n: a for n, a in self.parameters.items() if n in division.frozen},
            preprocessing=self.start.preprocessing,
            engine=self.request.engine,
            device=self.request.device,
            precision=self.request.precision,
        )


def _views(request: TrainRequest, stages: Sequence[Stage]) -> Views:
    """In how many versions the frozen fronts see each training image: the plain one alone where a
    later stage learns from images themselves, which then vary from epoch to epoch.
    """
    if request.views == 1 and any(stage.front is None for stage in stages):
        return Views()
    return Views(count=request.views, policy=request.augment)


def _check_varied(request: TrainRequest, start: Start, stages: Sequence[Stage]) -> None:
    """Refuse views that nothing computes; those of frozen parts check themselves."""
    if any(stage.front is not None for stage in stages):
        _views(request, stages)
    elif request.views > 1:
        raise SettingsError(
            f"views: a fixed number of them is for a frozen backbone, got {request.views} where "
            f"all of {start.name} learns: leave --views out, --augment varies every epoch anew"
        )

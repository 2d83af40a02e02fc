"""A pretrained network made fit for a task: its trunk, a new head, and what of it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convoscope.architecture.cutting import front, parameters_of, tail
from convoscope.architecture.graph import Architecture, walk, without_top
from convoscope.arrays import FloatArray
from convoscope.data.cache import Decoded
from convoscope.data.preprocessing import Preprocessing
from convoscope.data.splits import Splits
from convoscope.engines.learning import multipliers
from convoscope.engines.weights import parameter_shapes
from convoscope.errors import RunError, SettingsError, WeightsError
from convoscope.jobs.progress import Progress
from convoscope.jobs.request import TrainRequest
from convoscope.runs import Run
from convoscope.transfer.catalogue import backbone
from convoscope.transfer.features import Features, Front, Views, frozen_features
from convoscope.transfer.freezing import is_statistic, last_frozen
from convoscope.transfer.heads import TOP, find_head, usual_head, with_head
from convoscope.transfer.pretrained import blueprint, check_engine
from convoscope.transfer.store import Stored, how_to_get, needed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adapted:
    """A pretrained network with a new head, and what of it learns.

    ``multipliers`` are those of the learning rate by parameter name: 0 throughout the trunk and 1
    in the head, unless the request says otherwise. ``front`` is all that lies below the first
    layer that learns, ``None`` where already the first one does; ``parameters`` are the pretrained
    ones of the whole trunk.
    """

    request: TrainRequest
    stored: Stored
    architecture: Architecture
    parameters: Mapping[str, FloatArray]
    multipliers: Mapping[str, float]
    front: Front | None

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image file becomes what the backbone sees."""
        return replace(self.stored.preprocessing, resize=self.request.resize)

    @property
    def taught(self) -> Architecture:
        """What is taught: the network from the frozen front on, or all of it."""
        return (
            self.architecture if self.front is None else tail(self.architecture, self.front.layer)
        )

    @property
    def start(self) -> dict[str, FloatArray]:
        """The pretrained parameters of what is taught; the others are drawn."""
        return parameters_of(self.taught, self.parameters)

    @property
    def views(self) -> Views:
        """In how many versions the frozen front sees each training image."""
        return Views(count=self.request.views, policy=self.request.augment)

    def facts(self) -> dict[str, Any]:
        """What ``model.json`` says of it as ``backbone``."""
        total = sum(p.layer.parameter_count(p.input_shape) for p in walk(self.architecture))
        frozen = sum(
            array.size
            for name, array in self.parameters.items()
            if self.multipliers[name] == 0 and not is_statistic(name)
        )
        return {
            "name": self.stored.name,
            "source": self.stored.source,
            "weights_sha256": self.stored.sha256,
            "origin": self.stored.origin.place,
            "licence": self.stored.licence,
            "head": head_name(self.request),
            "frozen_up_to": self.front.layer if self.front else None,
            "frozen_parameters": frozen,
            "learnt_parameters": total - frozen,
            "views": self.request.views,
        }


def head_name(request: TrainRequest) -> str:
    """The head that is asked for, or the usual one."""
    return request.head or usual_head(_asked(request))


def pretrained_architecture(
    request: TrainRequest, stored: Stored, classes: Mapping[str, int]
) -> Architecture:
    """The backbone's trunk with a new head for each question in ``classes``.

    Raises:
        WeightsError: if the pretrained head is to be kept, and the weights at hand have none.
        ArchitectureError: if it has no last layer that could be replaced.
    """
    head = head_name(request)
    keeps_top = find_head(head).layers is None
    if keeps_top and not stored.classes:
        raise WeightsError(
            f"backbone {stored.name!r}: head {TOP!r} keeps the pretrained head, the weights at "
            f"hand ({stored.origin.place}) have none: choose another head, or "
            + how_to_get(stored.name)
        )
    architecture, _ = blueprint(backbone(_asked(request)), stored, with_top=keeps_top)
    return with_head(architecture, head, classes)


def adapt(request: TrainRequest, stored: Stored, architecture: Architecture) -> Adapted:
    """The pretrained network with that head, and what of it is frozen.

    Raises:
        UnknownNameError: if a learning rate is for parameters that are not there.
        SettingsError: if images are to be varied in a way that a frozen part cannot follow.
    """
    parameters = _trunk_parameters(request, stored, architecture)
    names = tuple(dict.fromkeys([*parameters, *parameter_shapes(architecture)]))
    rates = multipliers(architecture, names, {**_usual_rates(architecture), **request.rate})
    adapted = Adapted(
        request=request,
        stored=stored,
        architecture=architecture,
        parameters=parameters,
        multipliers=rates,
        front=None,
    )
    layer = last_frozen(architecture, rates)
    if layer is not None:
        _ = adapted.views  # its laws are checked when it is made
        return replace(adapted, front=_front(adapted, layer))
    if request.views > 1:
        raise SettingsError(
            f"views: a fixed number of them is for a frozen backbone, got {request.views} where "
            f"all of {stored.name} learns: leave --views out, --augment varies every epoch anew"
        )
    return adapted


def features_of(
    adapted: Adapted | None, decoded: Decoded, divided: Sequence[Splits], progress: Progress
) -> Features | None:
    """The features of the decoded images by the frozen front, if there is one.

    Views that differ from the plain one are computed for the training images of any division.
    """
    if adapted is None or adapted.front is None:
        return None
    return frozen_features(
        adapted.front,
        decoded.images,
        views=adapted.views,
        rows=np.unique(np.concatenate([splits.indices["train"] for splits in divided])),
        progress=lambda done, total: progress("features", done, total),
    )


def rounding_note(features: Features | None) -> tuple[str, ...]:
    """A sentence where features are not kept exactly."""
    if features is None or not features.rounding:
        return ()
    return (
        f"features of {features.layer} are kept as float16, for they are many: rounding changes "
        f"them by {features.rounding:.2%} at most (root mean square)",
    )


def check_same_weights(run: Run, stored: Stored) -> None:
    """Refuse to go on with a run whose backbone has other weights than it began with.

    Raises:
        RunError: if it has.
    """
    facts = run.model().get("backbone")
    began_with = facts.get("weights_sha256") if isinstance(facts, dict) else None
    if began_with != stored.sha256:
        raise RunError(
            f"{run.path}: going on needs the weights that the run began with (SHA-256 "
            f"{str(began_with)[:12]}), those of backbone {stored.name!r} are now "
            f"{stored.sha256[:12]}: import the first ones again, or train again"
        )


def asked_weights(request: TrainRequest) -> Stored | None:
    """The weights of the backbone that is asked for; ``None`` for training from scratch.

    Raises:
        UnknownNameError: if there is no such backbone; names the nearest.
        WeightsError: if its weights are not at hand; says how to get them.
        SettingsError: if the engine cannot compute it.
    """
    if request.backbone is None:
        return None
    chosen = backbone(request.backbone)
    check_engine(chosen, request.engine)
    return needed(chosen.name)


def _trunk_parameters(
    request: TrainRequest, stored: Stored, architecture: Architecture
) -> dict[str, FloatArray]:
    """The pretrained parameters of all layers below the new heads."""
    keeps_top = find_head(head_name(request)).layers is None
    _, shapes = blueprint(backbone(_asked(request)), stored, with_top=keeps_top)
    arrays = stored.arrays()
    known = {name: arrays[name] for name in shapes if name in arrays}
    return parameters_of(without_top(architecture), known)


def _front(adapted: Adapted, layer: str) -> Front:
    request, architecture = adapted.request, front(adapted.architecture, layer)
    return Front(
        architecture=architecture,
        parameters=parameters_of(architecture, adapted.parameters),
        preprocessing=adapted.preprocessing,
        engine=request.engine,
        device=request.device,
        precision=request.precision,
    )


def _usual_rates(architecture: Architecture) -> dict[str, float]:
    """Everything is frozen but the heads."""
    heads = [layer.name for head in architecture.heads for layer in head.layers]
    return {"": 0.0} | dict.fromkeys(heads, 1.0)


def _asked(request: TrainRequest) -> str:
    assert request.backbone is not None, "a request for a pretrained network names it"
    return request.backbone

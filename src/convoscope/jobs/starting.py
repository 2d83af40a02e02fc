"""What a network starts from that has learnt before: a backbone's weights, or another run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeAlias, final

from convoscope.architecture.cutting import parameters_of
from convoscope.architecture.graph import Architecture, without_top
from convoscope.architecture.heads import with_heads
from convoscope.arrays import FloatArray
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import RunError, SettingsError, WeightsError
from convoscope.jobs.request import TrainRequest, defaults
from convoscope.jobs.trained import check_has_network, class_names, preprocessing
from convoscope.runs import Run, open_run
from convoscope.transfer.catalogue import backbone
from convoscope.transfer.depth import shapes_in_order
from convoscope.transfer.freezing import weights_hash
from convoscope.transfer.heads import TOP, USUAL, find_head, with_head
from convoscope.transfer.pretrained import blueprint, check_engine
from convoscope.transfer.store import Stored, how_to_get, needed

Classes: TypeAlias = Mapping[str, Sequence[str]]
"""Class names by head."""


class Start(Protocol):
    """A network that has learnt before."""

    @property
    def name(self) -> str:
        """The backbone's name, or the run's."""
        ...

    @property
    def sha256(self) -> str:
        """The hash of its weights."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image file becomes what it sees."""
        ...

    def architecture(self, classes: Classes) -> Architecture:
        """It with a head for each question in ``classes``."""
        ...

    def parameters(self, architecture: Architecture, classes: Classes) -> dict[str, FloatArray]:
        """Those of ``architecture``, made by :meth:`architecture`, that have learnt before."""
        ...

    def facts(self) -> dict[str, Any]:
        """What ``model.json`` says of it."""
        ...


def asked_start(request: TrainRequest) -> Start | None:
    """What the network that is asked for starts from; ``None`` for training from scratch.

    Raises:
        UnknownNameError: if there is no such backbone; names the nearest.
        WeightsError: if its weights are not at hand; says how to get them.
        RunError: if the run to start from has no network.
        SettingsError: if the engine cannot compute it.
    """
    if request.backbone is not None:
        chosen = backbone(request.backbone)
        check_engine(chosen, request.engine)
        return BackboneStart(request, needed(chosen.name))
    if request.tune is not None and request.from_run is not None:
        return RunStart(request, open_run(request.from_run))
    return None


def check_same_start(run: Run, start: Start) -> None:
    """Refuse to go on with a run that began with other weights.

    Raises:
        RunError: if it has.
    """
    facts = run.model().get("backbone")
    began_with = facts.get("weights_sha256") if isinstance(facts, dict) else None
    if began_with != start.sha256:
        raise RunError(
            f"{run.path}: going on needs the weights that the run began with (SHA-256 "
            f"{str(began_with)[:12]}), those of {start.name} are now "
            f"{start.sha256[:12]}: bring the first ones back, or train again"
        )


@final
@dataclass(frozen=True)
class BackboneStart:
    """A pretrained backbone of the store: its trunk, and a new head."""

    request: TrainRequest
    stored: Stored

    @property
    def name(self) -> str:
        """The backbone's name."""
        return self.stored.name

    @property
    def sha256(self) -> str:
        """The hash of its weights."""
        return self.stored.sha256

    @property
    def preprocessing(self) -> Preprocessing:
        """The backbone's own, with the request's way to resize."""
        return replace(self.stored.preprocessing, resize=self.request.resize)

    @property
    def head(self) -> str:
        """The head that is asked for, or the usual one."""
        return self.request.head or USUAL

    def architecture(self, classes: Classes) -> Architecture:
        """The trunk with a new head for each question.

        Raises:
            WeightsError: if the pretrained head is to be kept, and the weights at hand have none.
            ArchitectureError: if it has no last layer that could be replaced.
        """
        keeps_top = find_head(self.head).layers is None
        if keeps_top and not self.stored.classes:
            raise WeightsError(
                f"backbone {self.name!r}: head {TOP!r} keeps the pretrained head, the weights at "
                f"hand ({self.stored.origin.place}) have none: choose another head, or "
                + how_to_get(self.name)
            )
        whole, _ = blueprint(backbone(self._asked), self.stored, with_top=keeps_top)
        return with_head(whole, self.head, _counts(classes))

    def parameters(self, architecture: Architecture, classes: Classes) -> dict[str, FloatArray]:
        """All of the layers below the new heads."""
        keeps_top = find_head(self.head).layers is None
        _, shapes = blueprint(backbone(self._asked), self.stored, with_top=keeps_top)
        arrays = self.stored.arrays()
        known = {name: arrays[name] for name in shapes if name in arrays}
        return parameters_of(without_top(architecture), known)

    def facts(self) -> dict[str, Any]:
        """Where its weights come from, and the head."""
        return {
            "name": self.name,
            "source": self.stored.source,
            "weights_sha256": self.sha256,
            "origin": self.stored.origin.place,
            "licence": self.stored.licence,
            "head": self.head,
        }

    @property
    def _asked(self) -> str:
        assert self.request.backbone is not None, "a request for a backbone names it"
        return self.request.backbone


@final
@dataclass(frozen=True)
class RunStart:
    """The network of another run: its layers, its head too where it tells the same apart."""

    request: TrainRequest
    run: Run

    def __post_init__(self) -> None:
        check_has_network(self.run)
        check_engine_of(self.run, self.request)

    @property
    def name(self) -> str:
        """The run's name."""
        return f"run {self.run.name}"

    @cached_property
    def arrays(self) -> dict[str, FloatArray]:
        """All parameters that the run has kept."""
        return self.run.parameters()

    @cached_property
    def sha256(self) -> str:
        """The hash of its parameters."""
        return weights_hash(self.arrays)

    @property
    def preprocessing(self) -> Preprocessing:
        """The run's own; its way to resize unless another one is asked for."""
        own = preprocessing(self.run, self.run.model())
        asked = self.request.resize
        return own if asked == defaults()["resize"] else replace(own, resize=asked)

    def architecture(self, classes: Classes) -> Architecture:
        """The run's network, its head resized or, where one is asked for, replaced.

        Raises:
            ArchitectureError: if its heads are others than the data labels, and several.
        """
        own = self.run.architecture()
        if self.request.head is not None:
            return with_head(own, self.request.head, _counts(classes))
        return with_heads(own, _counts(classes))

    def parameters(self, architecture: Architecture, classes: Classes) -> dict[str, FloatArray]:
        """Those whose names and shapes agree, but not a last layer of other classes."""
        shapes, theirs = shapes_in_order(architecture), class_names(self.run)
        changed = {
            _last_dense(architecture, head)
            for head, names in classes.items()
            if tuple(theirs.get(head, ())) != tuple(names)
        }
        return {
            name: self.arrays[name]
            for name, shape in shapes.items()
            if name in self.arrays
            and self.arrays[name].shape == shape
            and name.partition(".")[0] not in changed
        }

    def facts(self) -> dict[str, Any]:
        """Which run, what it came from, and the head."""
        before = self.run.model().get("backbone")
        licence = before.get("licence", "") if isinstance(before, dict) else ""
        return {
            "name": self.name,
            "source": f"run/{self.run.record().settings.get('data', '')}",
            "weights_sha256": self.sha256,
            "origin": str(self.run.path),
            "licence": licence,
            "head": self.request.head or "its own",
        }


def check_engine_of(run: Run, request: TrainRequest) -> None:
    """Refuse NumPy's engine where the run's network is an adopted module.

    Raises:
        SettingsError: if it is.
    """
    kinds = {layer.kind for layer in run.architecture().layers}
    if request.engine == "numpy" and "adopted" in kinds:
        raise SettingsError(
            f"{run.path}: engine='numpy' computes networks of our own layers, this run's is an "
            "adopted PyTorch module: use engine='torch', or another run"
        )


def _counts(classes: Classes) -> dict[str, int]:
    return {head: len(names) for head, names in classes.items()}


def _last_dense(architecture: Architecture, head: str) -> str:
    """The name of the head's layer whose units are the classes."""
    layers = architecture.head(head).layers
    return next((layer.name for layer in reversed(layers) if layer.kind in ("dense", "conv2d")), "")

"""What to draw favourite inputs of: what was asked, and what that means for one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from convoscope.errors import SettingsError, unknown_name
from convoscope.explain import target_layer
from convoscope.explain.filters import convolutions
from convoscope.explain.maximise import BATCH, RECIPES, Recipe, Start
from convoscope.jobs.explain_request import class_indices, parse_neuron
from convoscope.jobs.inside import channels_of, check_layer, sized
from convoscope.network import Channel, ClassLogit, Network, Neuron, Target

ALL: Final = "all"

USUAL_FILTERS: Final = 64
"""Of a layer with more channels than this the first half as many are drawn, unless asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaximiseRequest:
    """What to draw.

    ``layers`` by name, or ``"all"`` for all with weights; ``filters`` of each, as ``"0-31,40"`` or
    ``"all"``. ``classes`` are names, indices or ``"all"``, of ``head`` or of every head that
    knows them; ``neurons`` are ``"layer:row,column,channel"``. Without any, the filters of the
    last layer of maps. ``recipe`` with its own ``steps`` and ``rate`` unless they are given.
    ``size`` is the side of the pictures, else the network's own.
    """

    layers: tuple[str, ...] = ()
    filters: str | None = None
    classes: tuple[str, ...] = ()
    head: str | None = None
    neurons: tuple[str, ...] = ()
    recipe: str = "readable"
    steps: int | None = None
    rate: float | None = None
    start: Start = "blank"
    size: int | None = None
    seed: int = 0
    batch: int = BATCH

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise unknown_name("recipe", self.recipe, RECIPES)
        if self.size is not None and self.size < 1:
            raise SettingsError(f"size must be at least 1 pixel, got {self.size}: 128 is usual")
        if self.batch < 1:
            raise SettingsError(f"batch must be at least 1 picture, got {self.batch}: 16 is usual")
        if self.filters is not None and not self.layers and (self.classes or self.neurons):
            raise SettingsError(
                f"--filters {self.filters!r} says which filters of a layer, got no --layer: name "
                "one, or leave --filters out"
            )
        self.climbing()

    def climbing(self) -> Recipe:
        """The recipe with the steps and the rate that were asked for."""
        asked = {"steps": self.steps, "rate": self.rate}
        changed = {name: value for name, value in asked.items() if value is not None}
        return replace(RECIPES[self.recipe], **changed)  # type: ignore[arg-type]

    def options(self) -> tuple[str, ...]:
        """The options of the command that asks for this; what is usual is left out."""
        usual = MaximiseRequest()
        single = ("filters", "head", "recipe", "steps", "rate", "start", "size", "seed", "batch")
        words = [
            f"--{name}={getattr(self, name)}"
            for name in single
            if getattr(self, name) != getattr(usual, name)
        ]
        several = (("layer", self.layers), ("class", self.classes), ("neuron", self.neurons))
        return (*words, *(f"--{name}={value}" for name, values in several for value in values))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Pictures that belong together: filters of a layer, neurons of a layer, classes of a head.

    ``network`` computes them, ``names`` are those of the target's indices. ``of`` is how many the
    layer or the head has.
    """

    title: str
    network: Network
    target: Target
    names: tuple[str, ...]
    of: int


def groups_of(
    request: MaximiseRequest, network: Network, class_names: Mapping[str, Sequence[str]]
) -> tuple[Group, ...]:
    """What the request means for a network.

    Raises:
        UnknownNameError: if a layer, a head or a class is not there; names the nearest.
        SettingsError: if a filter or neuron lies outside its layer, or ``size`` cannot be had.
        ExplainError: if nothing is asked for, and the network has no layer of maps.
    """
    has_other = bool(request.classes or request.neurons)
    layers = request.layers or (() if has_other else (target_layer(network),))
    if layers == (ALL,) and ALL not in network.layer_shapes:
        layers = layers_with_weights(network)
    return (
        *(_filters(request, network, layer) for layer in layers),
        *(_neurons(request, network)),
        *(_classes(request, network, class_names)),
    )


def _filters(request: MaximiseRequest, network: Network, layer: str) -> Group:
    check_layer(network, layer)
    count = network.layer_shapes[layer][0]
    few = ALL if count <= USUAL_FILTERS else f"0-{USUAL_FILTERS // 2 - 1}"
    chosen = channels_of(request.filters or few, layer, count)
    return Group(
        title=layer,
        network=_of_size(request, network, layer),
        target=Channel(layer, chosen),
        names=tuple(map(str, chosen)),
        of=count,
    )


def _neurons(request: MaximiseRequest, network: Network) -> list[Group]:
    """A group for each layer that neurons were asked of."""
    of_size = [
        parse_neuron(words, _sized_for(request, network, words)) for words in request.neurons
    ]
    found = []
    for layer in dict.fromkeys(neuron.layer for neuron in of_size):
        own = [neuron for neuron in of_size if neuron.layer == layer]
        places = [(n.row, n.column, n.channel) for n in own]
        rows, columns, channels = (tuple(axis) for axis in zip(*places, strict=True))
        found.append(
            Group(
                title=f"neurons of {layer}",
                network=_of_size(request, network, layer),
                target=Neuron(layer, rows, columns, channels),
                names=tuple(str(place) for place in places),
                of=len(own),
            )
        )
    return found


def _classes(
    request: MaximiseRequest, network: Network, class_names: Mapping[str, Sequence[str]]
) -> list[Group]:
    heads = tuple(class_names)
    if request.head is not None:
        if request.head not in heads:
            raise unknown_name("head", request.head, heads)
        heads = (request.head,)
    chosen = class_indices(request.classes, {head: class_names[head] for head in heads})
    if chosen and request.size is not None:
        raise SettingsError(
            f"--size {request.size}: a class is asked of the whole network, which has a size of "
            "its own: leave --size out, or ask for filters"
        )
    return [
        Group(
            title=f"classes of {head}",
            network=network,
            target=ClassLogit(head, indices),
            names=tuple(class_names[head][index] for index in indices),
            of=len(class_names[head]),
        )
        for head, indices in chosen.items()
    ]


def layers_with_weights(network: Network) -> tuple[str, ...]:
    """The layers that have filters, or units."""
    parameters = network.parameters()
    matrices = {name for name, array in parameters.items() if array.ndim == 2}
    have = set(convolutions(network))
    return tuple(
        layer for layer in network.layer_shapes if layer in have or f"{layer}.weight" in matrices
    )


def _of_size(request: MaximiseRequest, network: Network, layer: str) -> Network:
    return network if request.size is None else sized(network, layer, request.size)


def _sized_for(request: MaximiseRequest, network: Network, words: str) -> Network:
    """The network whose maps a neuron's place counts in."""
    layer = words.rpartition(":")[0]
    known = layer in network.layer_shapes
    return _of_size(request, network, layer) if known else network

"""What to look for inside a network: what was asked, and what that means for one network."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convoscope.errors import ExplainError, SettingsError, UnknownNameError, unknown_name
from convoscope.explain import (
    METHODS,
    answering_layers,
    map_shape,
    target_layer,
    usable,
)
from convoscope.explain.neurons import OnePer, unclipped
from convoscope.network import Network, Neuron

ALL: Final = "all"
USUAL_METHODS: Final[tuple[str, ...]] = ("grad-cam", "guided-backprop", "guided-grad-cam")
GUIDED: Final = "guided-backprop"
MOST_CLASSES: Final = 100
MOST_NEURONS: Final = 100
_CLASSES_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainRequest:
    """What to look for.

    Empty ``methods`` are the usual ones, as far as the network can be asked for them; ``("all",)``
    are all it can be asked for. ``layers`` are those whose maps, neurons and heat are looked at;
    empty is the last one before the heads pool. ``neurons`` is how many of the strongest are shown
    in each, at most one ``one_per`` channel or place; ``chosen`` are others, as
    ``"layer:row,column,channel"``. ``classes`` are names or indices, or ``"all"``; empty is what
    the network says, and the label where it is another. ``head`` is the one to ask, empty is each.
    With ``has_maps`` the maps of all layers are kept, and the vectors of those that give one.
    ``top`` classes are named per head. With ``has_scores`` every method is scored; ``objects`` is a
    table of boxes, or a folder of masks, of the things that the images show.
    """

    methods: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    neurons: int = 5
    one_per: OnePer | None = None
    chosen: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    head: str | None = None
    has_maps: bool = False
    top: int = 5
    has_scores: bool = False
    objects: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.neurons <= MOST_NEURONS:
            raise SettingsError(
                f"neurons must lie in 0 to {MOST_NEURONS}, got {self.neurons}: 5 is usual"
            )
        if self.top < 1:
            raise SettingsError(f"top must be at least 1 class, got {self.top}: 5 is usual")
        if self.objects is not None and not self.has_scores:
            raise SettingsError(
                f"--objects {self.objects}: what is marked in images is for their scores, and none "
                "were asked for: add --score"
            )
        for name in self.methods:
            if name not in METHODS and self.methods != (ALL,):
                raise unknown_name("method", name, METHODS)

    def options(self) -> tuple[str, ...]:
        """The options of the command that asks for this; what is usual is left out.

        Each is one word, because a class may begin with a minus sign.
        """
        usual = ExplainRequest()
        words = [f"--{name}={getattr(self, name)}" for name in ("neurons", "top")]
        words = [w for w in words if w not in (f"--neurons={usual.neurons}", f"--top={usual.top}")]
        words += [f"--methods={','.join(self.methods)}"] if self.methods else []
        words += [f"--head={self.head}"] if self.head is not None else []
        words += [f"--one-per={self.one_per}"] if self.one_per is not None else []
        words += ["--maps"] if self.has_maps else []
        words += ["--score"] if self.has_scores else []
        words += [f"--objects={self.objects}"] if self.objects is not None else []
        several = (("layer", self.layers), ("class", self.classes), ("neuron", self.chosen))
        words += [f"--{name}={value}" for name, values in several for value in values]
        return tuple(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is computed of each image of one network; layers are known to be layers of maps.

    ``classes`` are indices by head; a head that is missing is explained for what it says.
    """

    methods: tuple[str, ...]
    heat_layers: tuple[str, ...]
    neuron_layers: tuple[str, ...]
    kept_layers: tuple[str, ...]
    neurons: int
    one_per: OnePer | None
    chosen: tuple[Neuron, ...]
    heads: tuple[str, ...]
    classes: Mapping[str, tuple[int, ...]]
    top: int

    @property
    def traced_layers(self) -> tuple[str, ...]:
        """Every layer whose output is needed, each once."""
        chosen = (neuron.layer for neuron in self.chosen)
        names = (*self.heat_layers, *self.neuron_layers, *self.kept_layers, *chosen)
        return tuple(dict.fromkeys(names))

    @property
    def ends(self) -> tuple[str, ...]:
        """Where gradients end: at the image, at the layers whose maps are weighted, or both."""
        asks = {ask for name in self.methods for ask in METHODS[name].asks}
        needs_pixels = "images" in asks or self.neuron_layers or self.chosen
        return (*(("images",) if needs_pixels else ()), *self.heat_layers)


def plan(
    request: ExplainRequest, network: Network, class_names: Mapping[str, Sequence[str]]
) -> Plan:
    """What the request means for a network.

    Raises:
        UnknownNameError: if a layer, a head or a class is not there; names the nearest.
        ExplainError: if a layer gives no maps.
        SettingsError: if a neuron lies outside its layer's maps.
    """
    for layer in request.layers:
        map_shape(network, layer)
    heads = tuple(class_names)
    if request.head is not None:
        if request.head not in heads:
            raise unknown_name("head", request.head, heads)
        heads = (request.head,)
    layers = request.layers or _target_layers(request, network)
    return Plan(
        methods=_methods(request, network, has_maps=bool(layers)),
        heat_layers=layers,
        neuron_layers=_neuron_layers(request, network, layers),
        kept_layers=answering_layers(network) if request.has_maps else request.layers,
        neurons=request.neurons,
        one_per=request.one_per,
        chosen=tuple(parse_neuron(words, network) for words in request.chosen),
        heads=heads,
        classes=class_indices(request.classes, {head: class_names[head] for head in heads}),
        top=request.top,
    )


def _target_layers(request: ExplainRequest, network: Network) -> tuple[str, ...]:
    """The layer that is looked at unless another is named; none where nothing needs one.

    Raises:
        ExplainError: if the network has no such layer and a method that was asked for needs one.
    """
    try:
        return (target_layer(network),)
    except ExplainError:
        if any(name in METHODS and METHODS[name].needs_layer for name in request.methods):
            raise
        return ()


def _neuron_layers(
    request: ExplainRequest, network: Network, layers: tuple[str, ...]
) -> tuple[str, ...]:
    """Where the strongest neurons are looked for; a layer that was named is taken as it is."""
    if not request.neurons:
        return ()
    return request.layers or tuple(unclipped(network, layer) for layer in layers)


def _methods(request: ExplainRequest, network: Network, *, has_maps: bool) -> tuple[str, ...]:
    """The methods that were asked for, or those of the usual ones that the network can be asked.

    Raises:
        ExplainError: if one is asked for that cannot explain this network; told here, before
            anything is written.
    """
    if request.methods == (ALL,):
        return usable(network)
    if request.methods:
        for name in request.methods:
            METHODS[name].check(network)
        return request.methods
    try:
        METHODS[GUIDED].check(network)
        asked = USUAL_METHODS
    except ExplainError:
        asked = ("grad-cam", "gradient")
    return tuple(name for name in asked if has_maps or not METHODS[name].needs_layer)


def parse_neuron(words: str, network: Network) -> Neuron:
    """The neuron that ``"layer:row,column,channel"`` names.

    Raises:
        SettingsError: if the words are none, or it lies outside the layer's maps.
        UnknownNameError: if there is no such layer; names the nearest.
        ExplainError: if the layer gives no maps.
    """
    layer, _, place = words.rpartition(":")
    numbers = re.fullmatch(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*", place)
    if not layer or numbers is None:
        raise SettingsError(
            f"--neuron {words!r}: a neuron is named layer:row,column,channel: write for example "
            f"{target_layer(network)}:4,6,3"
        )
    _, height, width = shape = map_shape(network, layer)
    row, column, channel = (int(number) for number in numbers.groups())
    channels = shape[0]
    axes = (("row", row, height), ("column", column, width), ("channel", channel, channels))
    for axis, index, count in axes:
        if not 0 <= index < count:
            raise SettingsError(
                f"--neuron {words!r}: the maps of {layer!r} have {height} rows, {width} columns "
                f"and {channels} channels, got {axis} {index}: count from 0 to {count - 1}"
            )
    return Neuron(layer, row, column, channel)


def class_indices(
    asked: Sequence[str], class_names: Mapping[str, Sequence[str]]
) -> dict[str, tuple[int, ...]]:
    """Per head the indices of the classes that were asked for; a name may be known to several.

    Raises:
        UnknownNameError: if no head knows the class; names the nearest.
        SettingsError: if all classes are asked for, and they are too many.
    """
    found: dict[str, list[int]] = {}
    for words in asked:
        if words == ALL and not any(ALL in names for names in class_names.values()):
            _check_count(class_names)
            found |= {head: list(range(len(names))) for head, names in class_names.items()}
            continue
        known = {head: _index(words, names) for head, names in class_names.items()}
        if all(index is None for index in known.values()):
            raise _unknown_class(words, class_names)
        for head, index in known.items():
            if index is not None and index not in found.setdefault(head, []):
                found[head].append(index)
    return {head: tuple(indices) for head, indices in found.items()}


def _check_count(class_names: Mapping[str, Sequence[str]]) -> None:
    count = sum(len(names) for names in class_names.values())
    if count > MOST_CLASSES:
        raise SettingsError(
            f"--class all: at most {MOST_CLASSES} classes can be explained at once, this network "
            f"tells {count:,} apart: name those that matter with --class"
        )


def _index(words: str, names: Sequence[str]) -> int | None:
    """The class of that name or, where there is none, of that number."""
    if words in names:
        return names.index(words)
    folded = [name.casefold() for name in names]
    if folded.count(words.casefold()) == 1:
        return folded.index(words.casefold())
    return int(words) if words.isdecimal() and int(words) < len(names) else None


def _unknown_class(words: str, class_names: Mapping[str, Sequence[str]]) -> UnknownNameError:
    """The error for a class that no head knows; a thousand names are not all listed."""
    names = list(dict.fromkeys(name for known in class_names.values() for name in known))
    if len(names) <= _CLASSES_LISTED or difflib.get_close_matches(words, names, n=1):
        return unknown_name("class", words, names)
    holding = [name for name in names if words.casefold() in name.casefold()]
    advice = (
        f"did you mean {holding[0]!r}?"
        if holding
        else f"name one of the {len(names):,} classes, or its index from 0"
    )
    return UnknownNameError(f"there is no class {words!r}: {advice}")

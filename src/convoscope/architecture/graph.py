"""An architecture: named layers on a trunk, named heads on top, checked when it is made.

::

    image -> layers (the trunk) -+-> head "class": its own layers -> logits (K,)
                                 +-> head "colour": ...

Whoever needs to go over all layers uses :func:`walk`, which knows branches and heads, so that
nobody else has to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from convoscope import notebook
from convoscope.architecture.branches import AnyLayer, Parallel, Residual
from convoscope.architecture.layers import Conv2d, Dense
from convoscope.architecture.protocol import Shape, shape_text
from convoscope.architecture.windows import LARGEST_SIDE
from convoscope.errors import ArchitectureError, ShapeError, UnknownNameError, placed, unknown_name

Output: TypeAlias = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Layers that turn the trunk's output into logits ``(units,)``.

    ``softmax``: one class of ``units``; loss is categorical cross-entropy. ``sigmoid`` with one
    unit: two classes; loss is binary cross-entropy. The function itself belongs to the loss:
    a head ends with logits. A single sigmoid answers with the second class where that is more
    probable than ``threshold``.
    """

    name: str = "class"
    layers: tuple[AnyLayer, ...]
    output: Output = "softmax"
    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """A layer where it stands: what it is given, what it gives, in which head and how deep."""

    layer: AnyLayer
    input_shape: Shape
    output_shape: Shape
    depth: int
    head: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a network is: its input shape ``(C, H, W)``, its trunk and its heads.

    Raises:
        ArchitectureError: if two layers or heads have one name, or a head gives no vector.
        ShapeError: if some layer does not fit what it is given; the message names it.
    """

    name: str
    input_shape: Shape
    layers: tuple[AnyLayer, ...]
    heads: tuple[Head, ...] = ()

    def __post_init__(self) -> None:
        _check_input(self.input_shape)
        _check_names("head", [head.name for head in self.heads])
        _check_names("layer", [layer.name for layer in _every_layer(self)])
        for head, shape in logit_shapes(self).items():
            if len(shape) != 1:
                raise ArchitectureError(
                    f"head {head!r}: a head must end in a vector of logits, got maps of shape "
                    f"{shape}: end it with a dense or a global pooling layer"
                )
            _check_threshold(self.head(head), shape)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of all layers, branches before the layer that joins them, heads last."""
        return tuple(place.layer.name for place in walk(self))

    def _repr_html_(self) -> str:
        places = tuple(walk(self))
        rows = [
            (
                f"{p.head}: {p.layer.name}" if p.head else p.layer.name,
                p.layer.kind,
                shape_text(p.output_shape),
                p.layer.parameter_count(p.input_shape),
                p.layer.macs(p.input_shape),
            )
            for p in places
        ]
        total = ("total", "", "", sum(row[3] for row in rows), sum(row[4] for row in rows))
        caption = f"{self.name}: input {shape_text(self.input_shape)}"
        header = ("layer", "kind", "output", "parameters", "MACs")
        return notebook.table(caption, header, [*rows, total])

    def place(self, layer: str) -> Place:
        """The place of the layer of that name.

        Raises:
            UnknownNameError: if there is none; names the nearest.
        """
        for place in walk(self):
            if place.layer.name == layer:
                return place
        raise unknown_layer(layer, self.layer_names)

    def head(self, name: str) -> Head:
        """The head of that name.

        Raises:
            UnknownNameError: if there is none; names the nearest.
        """
        for head in self.heads:
            if head.name == name:
                return head
        raise unknown_name("head", name, [head.name for head in self.heads])


def walk(architecture: Architecture) -> Iterator[Place]:
    """Every layer in computing order; a branch's layers come before the layer that joins them."""
    total = sum(1 for _ in _every_layer(architecture))
    trunk, done = architecture.input_shape, 0
    for place in _walk_chain(architecture.layers, trunk, 0, None, (done, total)):
        done += 1
        trunk = place.output_shape if place.depth == 0 else trunk
        yield place
    for head in architecture.heads:
        for place in _walk_chain(head.layers, trunk, 0, head.name, (done, total)):
            done += 1
            yield place


def trunk_shape(architecture: Architecture) -> Shape:
    """The shape of what the heads are given."""
    return _ends(architecture)[None]


def logit_shapes(architecture: Architecture) -> dict[str, Shape]:
    """The output shape of each head, by name."""
    ends = _ends(architecture)
    return {head.name: ends.get(head.name, ends[None]) for head in architecture.heads}


def with_input(architecture: Architecture, input_shape: Shape) -> Architecture:
    """The same layers on another input."""
    return replace(architecture, input_shape=input_shape)


def without_top(architecture: Architecture) -> Architecture:
    """The trunk alone."""
    return replace(architecture, heads=())


def with_classes(architecture: Architecture, classes: Mapping[str, int]) -> Architecture:
    """The same network with its heads' last layers resized to the given numbers of classes.

    A sigmoid head has one unit for two classes; for more it becomes a softmax head, as an image
    has one of them.

    Raises:
        UnknownNameError: if a head is not there.
        ArchitectureError: if a head has no dense or conv layer to resize.
    """
    for name in classes:
        architecture.head(name)
    heads = [
        _resized(head, classes[head.name]) if head.name in classes else head
        for head in architecture.heads
    ]
    return replace(architecture, heads=tuple(heads))


def class_count(head: Head, units: int) -> int:
    """How many classes a head with that many logits tells apart."""
    return 2 if head.output == "sigmoid" and units == 1 else units


def unknown_layer(name: str, known: Sequence[str]) -> UnknownNameError:
    """The error for a layer that is not in the network."""
    return unknown_name("layer", name, known)


def _ends(architecture: Architecture) -> dict[str | None, Shape]:
    """The output shape of the trunk, under ``None``, and of each head that has layers."""
    ends: dict[str | None, Shape] = {None: architecture.input_shape}
    for place in walk(architecture):
        if place.depth == 0:
            ends[place.head] = place.output_shape
    return ends


def _walk_chain(
    layers: Sequence[AnyLayer], shape: Shape, depth: int, head: str | None, count: tuple[int, int]
) -> Iterator[Place]:
    done, total = count
    for layer in layers:
        for branch in branches(layer):
            for place in _walk_chain(branch, shape, depth + 1, head, (done, total)):
                done += 1
                yield place
        done += 1
        with placed(f"layer {layer.name!r} ({done} of {total})"):
            output_shape = layer.output_shape(shape)
        yield Place(layer, shape, output_shape, depth, head)
        shape = output_shape


def branches(layer: AnyLayer) -> tuple[tuple[AnyLayer, ...], ...]:
    """The chains of layers inside a layer: none for a simple one; an empty chain passes on."""
    match layer:
        case Residual():
            return (layer.body, layer.shortcut)
        case Parallel():
            return layer.branches
        case _:
            return ()


def _every_layer(architecture: Architecture) -> Iterator[AnyLayer]:
    chains = [architecture.layers, *(head.layers for head in architecture.heads)]
    while chains:
        for layer in chains.pop():
            yield layer
            chains.extend(branches(layer))


def _check_input(shape: Shape) -> None:
    if len(shape) != 3 or not all(type(n) is int and 1 <= n <= LARGEST_SIDE for n in shape):
        raise ShapeError(
            "input_shape must be (channels, height, width), each an int from 1 to "
            f"{LARGEST_SIDE}, got {shape}"
        )


def _check_threshold(head: Head, shape: Shape) -> None:
    if not 0 < head.threshold < 1:
        raise ArchitectureError(
            f"head {head.name!r}: threshold must be a probability between 0 and 1, got "
            f"{head.threshold}: 0.5 is usual"
        )
    if head.threshold != 0.5 and (head.output != "sigmoid" or shape != (1,)):
        raise ArchitectureError(
            f"head {head.name!r}: a threshold is for a sigmoid of one unit, which tells two "
            f"classes apart, this head is a {head.output} of {shape[0]}: leave the threshold out"
        )


def _check_names(what: str, names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ArchitectureError(
            f"{what} names must be unique, {repeated[0]!r} is there twice: rename one of them"
        )
    for name in names:
        if not name or "." in name or "/" in name:
            raise ArchitectureError(
                f"{what} names must be non-empty and without '.' and '/', got {name!r}: rename it"
            )


def _resized(head: Head, classes: int) -> Head:
    output: Output = "sigmoid" if head.output == "sigmoid" and classes == 2 else "softmax"
    units = 1 if output == "sigmoid" else classes
    layers = list(head.layers)
    for i in reversed(range(len(layers))):
        layer = layers[i]
        if isinstance(layer, Dense):
            layers[i] = replace(layer, units=units)
        elif isinstance(layer, Conv2d):
            layers[i] = replace(layer, filters=units)
        else:
            continue
        return replace(head, layers=tuple(layers), output=output)
    raise ArchitectureError(
        f"head {head.name!r}: a head needs a dense or conv layer whose units are the classes, "
        f"got {', '.join(layer.kind for layer in layers) or 'no layers'}: add a dense layer"
    )

"""Ready-made networks, by name; and networks from a file, by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from convoscope.architecture.graph import Architecture, with_classes, with_input
from convoscope.architecture.protocol import Shape
from convoscope.architecture.zoo.classic import lenet_5, vgg11, vgg16, vgg19
from convoscope.architecture.zoo.coursework import (
    architecture_1,
    architecture_2,
    architecture_3,
    given_net,
    two_conv,
)
from convoscope.architecture.zoo.flexible import flexible
from convoscope.architecture.zoo.mobile import mobilenet_v2, squeezenet1_0
from convoscope.architecture.zoo.recommended import four_heads, own_net, small
from convoscope.errors import SettingsError, placed, unknown_name

__all__ = ["ZOO", "Entry", "is_file", "make", "resolve"]


@dataclass(frozen=True, slots=True)
class Entry:
    """How a network of the zoo is made, the input it is meant for, and what it is in a line."""

    build: Callable[..., Architecture]
    input_shape: Shape
    summary: str


ZOO: dict[str, Entry] = {
    "architecture-1": Entry(architecture_1, (3, 224, 224), "2 convolutions, the first 11x11"),
    "architecture-2": Entry(architecture_2, (3, 224, 224), "architecture-1, one layer deeper"),
    "architecture-3": Entry(architecture_3, (3, 224, 224), "architecture-1, two layers deeper"),
    "flexible": Entry(flexible, (3, 256, 256), "blocks, filters and the rest are options"),
    "four-heads": Entry(four_heads, (3, 28, 28), "length, width, colour and angle of a line"),
    "given-net": Entry(given_net, (1, 28, 28), "one 7x7 convolution and 1024 dense units"),
    "lenet-5": Entry(lenet_5, (1, 28, 28), "the classic for digits"),
    "mobilenet_v2": Entry(mobilenet_v2, (3, 224, 224), "52 convolutions, 3.5 million parameters"),
    "own-net": Entry(own_net, (1, 28, 28), "6 convolutions for digits and lines"),
    "small": Entry(small, (3, 128, 128), "a first network for photographs, from scratch"),
    "squeezenet1_0": Entry(squeezenet1_0, (3, 224, 224), "8 fire modules, 1.2 million parameters"),
    "two-conv": Entry(two_conv, (3, 224, 224), "2 convolutions and 389 million parameters"),
    "vgg11": Entry(vgg11, (3, 224, 224), "8 convolutions and 3 dense layers"),
    "vgg16": Entry(vgg16, (3, 224, 224), "13 convolutions and 3 dense layers"),
    "vgg19": Entry(vgg19, (3, 224, 224), "16 convolutions and 3 dense layers"),
}


def make(
    name: str,
    *,
    input_shape: Shape | None = None,
    classes: Mapping[str, int] | int | None = None,
    **options: object,
) -> Architecture:
    """The network of that name, for an input ``(C, H, W)`` and numbers of classes per head.

    A single number of classes is for a network with one head. Only ``flexible`` has options, those
    of :class:`~convoscope.architecture.zoo.flexible.Flexible`.

    Raises:
        UnknownNameError: if there is no such network, head or option; names the nearest.
        ShapeError: if the network does not fit the input.
        SettingsError: if an option or a number of classes is out of its range.
    """
    if name not in ZOO:
        raise unknown_name("model", name, ZOO)
    if options and name != "flexible":
        raise _no_options(name, options)
    entry = ZOO[name]
    with placed(f"model {name!r}"):
        architecture = entry.build(input_shape or entry.input_shape, **options)
        return _fitted(architecture, classes)


def resolve(
    name_or_file: str,
    *,
    input_shape: Shape | None = None,
    classes: Mapping[str, int] | int | None = None,
    **options: object,
) -> Architecture:
    """The zoo's network of that name, or the one that a YAML or JSON file describes.

    Raises:
        SettingsError: if there are options for a file, or one is out of its range.
        UnknownNameError: if it is neither a known name nor a file; names the nearest.
        ArchitectureError: if the file cannot be read or does not describe a network.
        ShapeError: if the network does not fit the input.
    """
    if not is_file(name_or_file):
        return make(name_or_file, input_shape=input_shape, classes=classes, **options)
    if options:
        raise _no_options(name_or_file, options)
    # Imported here because reading files needs pydantic, which the zoo's networks do not.
    from convoscope.architecture import files

    architecture = files.read(Path(name_or_file))
    with placed(name_or_file):
        if input_shape is not None:
            architecture = with_input(architecture, input_shape)
        return _fitted(architecture, classes)


def is_file(name_or_file: str) -> bool:
    """Whether it is meant as a file: it ends like one, has a folder in it, or is there."""
    path = Path(name_or_file)
    is_path = path.suffix.lower() in (".yaml", ".yml", ".json") or bool(
        {"/", "\\"} & set(name_or_file)
    )
    return name_or_file not in ZOO and (is_path or path.is_file())


def _no_options(name: str, options: Mapping[str, object]) -> SettingsError:
    return SettingsError(
        f"model {name!r}: only flexible takes options, got {', '.join(options)}: leave them out, "
        "or choose flexible"
    )


def _fitted(architecture: Architecture, classes: Mapping[str, int] | int | None) -> Architecture:
    if classes is None:
        return architecture
    if not isinstance(classes, Mapping):
        heads = [head.name for head in architecture.heads]
        if len(heads) != 1:
            raise SettingsError(
                "one number of classes is for a network with one head, this one has "
                f"{', '.join(heads) or 'none'}: give a number per head, such as "
                f"{heads[-1] if heads else 'class'}={classes}"
            )
        classes = {heads[0]: classes}
    for head, count in classes.items():
        if not isinstance(count, int) or count < 2:
            raise SettingsError(f"head {head!r}: there must be at least 2 classes, got {count!r}")
    return with_classes(architecture, classes)

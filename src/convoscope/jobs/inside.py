"""What maximising and an atlas share: whose network it is, its layers, the same at another size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convoscope import engines
from convoscope.architecture.branches import Adopted, AnyLayer
from convoscope.architecture.cutting import front, parameters_of
from convoscope.architecture.graph import Architecture, unknown_layer
from convoscope.architecture.layers import Activation, Conv2d, Dense
from convoscope.data.preprocessing import Preprocessing
from convoscope.errors import ConvoscopeError, SettingsError
from convoscope.explain.maximise import Guide
from convoscope.jobs import environment
from convoscope.jobs.explain_subject import Subject, subject_of
from convoscope.network import Engine, Network
from convoscope.runs import Run

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def network_of(
    command: str,
    of: Run | Network | str | Path | None,
    *,
    backbone: str | None,
    engine: Engine | None,
    device: str,
) -> Subject:
    """The network that ``command`` looks into.

    Raises:
        SettingsError: if both or neither of a run and a backbone are named.
        ConvoscopeError: as :func:`convoscope.jobs.explain_subject.subject_of`.
    """
    if (of is None) == (backbone is None):
        found = "neither" if of is None else f"the run {of} and the backbone {backbone!r}"
        raise SettingsError(
            f"{command}: one network must be named, a run, or a pretrained one with --backbone, "
            f"got {found}: say  convoscope {command} RUN  or  convoscope {command} --backbone vgg19"
        )
    return subject_of(of, backbone=backbone, engine=engine, device=device)


def check_layer(network: Network, layer: str) -> None:
    """Nothing, if the network has that layer.

    Raises:
        UnknownNameError: if it has not; names the nearest.
    """
    if layer not in network.layer_shapes:
        raise unknown_layer(layer, tuple(network.layer_shapes))


def channels_of(words: str, layer: str, count: int) -> tuple[int, ...]:
    """The channels that ``"0-31,40"`` or ``"all"`` names, of a layer with so many.

    Raises:
        SettingsError: if the words name none, or one that the layer has not.
    """
    if words.strip() == "all":
        return tuple(range(count))
    found: list[int] = []
    for part in words.split(","):
        numbers = _RANGE.fullmatch(part.strip())
        if numbers is None or int(numbers[2] or numbers[1]) < int(numbers[1]):
            raise SettingsError(
                f"--filters {words!r}: filters are named by numbers and ranges, got "
                f"{part.strip()!r}: write for example 0-7,12 or all"
            )
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if last >= count:
            raise SettingsError(
                f"--filters {words!r}: layer {layer!r} has {count} channels, got {last}: count "
                f"from 0 to {count - 1}"
            )
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def sized(network: Network, layer: str, size: int) -> Network:
    """The network up to ``layer``, of layers of our own, for images of ``size`` x ``size``.

    Filters do not know how large the image is; what they look for may be asked of a smaller one,
    which is quicker, or of a larger one.

    Raises:
        SettingsError: if the layer cannot be reached without knowing the size, or is not there for
            images so small.
    """
    architecture = network.architecture
    channels, height, width = architecture.input_shape
    if (height, width) == (size, size):
        return network
    in_trunk = {each.name for each in architecture.layers}
    is_adopted = any(isinstance(each, Adopted) for each in architecture.layers)
    if is_adopted or layer not in in_trunk or len(network.layer_shapes[layer]) != 3:
        raise SettingsError(
            f"--size {size}: only layers of maps of a network's own trunk can be asked of another "
            f"size, {layer!r} cannot: leave --size out, it is then {height} x {width}"
        )
    try:
        cut: Architecture = replace(front(architecture, layer), input_shape=(channels, size, size))
        return _alike(network, cut, replace(network.preprocessing, size=(size, size)))
    except ConvoscopeError as error:
        raise SettingsError(
            f"--size {size}: {layer!r} needs images that it can be computed for, {error}"
        ) from error


def guide_for(network: Network, layer: str) -> Guide | None:
    """What lies before the ReLU of a layer of the network's own trunk or heads; ``None`` where
    there is none, or it is not known.
    """
    architecture = network.architecture
    layers = _way_to(architecture, layer)
    if not layers or any(isinstance(each, Adopted) for each in architecture.layers):
        return None
    *below, last = layers
    if isinstance(last, Activation) and below:
        return Guide(network, below[-1].name)
    if not isinstance(last, Conv2d | Dense) or last.activation is None:
        return None
    bare = replace(architecture, layers=(*below, replace(last, activation=None)), heads=())
    return Guide(_alike(network, bare, network.preprocessing), layer)


def _way_to(architecture: Architecture, layer: str) -> tuple[AnyLayer, ...]:
    """The layers from the image to that one, which is in the trunk or in a head; none if it is
    inside another.
    """
    for rest in ((), *(head.layers for head in architecture.heads)):
        chain = (*architecture.layers, *rest)
        names = [each.name for each in chain]
        if layer in names:
            return chain[: names.index(layer) + 1]
    return ()


def _alike(network: Network, architecture: Architecture, preprocessing: Preprocessing) -> Network:
    """That architecture with the network's parameters, computed where and as exactly as it is."""
    return engines.build(
        architecture,
        preprocessing=preprocessing,
        engine=network.engine,
        parameters=parameters_of(architecture, network.parameters()),
        device=network.device,
        precision=network.precision,
    )


def about(subject: Subject, command: Sequence[str]) -> dict[str, Any]:
    """Whose inside it is, and how to look again, as plain values for a manifest."""
    network = subject.network
    return {
        "network": network.architecture.name,
        "source": subject.source,
        "engine": network.engine,
        "input_shape": list(network.architecture.input_shape),
        "command": list(command),
        "versions": environment.versions(),
        "machine": environment.machine(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def subject_words(subject: Subject) -> tuple[str, ...]:
    """The words of a command that name the network."""
    return (subject.source,) if subject.run is not None else ("--backbone", subject.source)


def file_word(name: str) -> str:
    """A name in letters that every disk takes."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
